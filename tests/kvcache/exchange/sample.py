"""Small caches and W-Matrices of two made-up models, `alpha` and `beta`. Nothing here was measured."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from kvcache.exchange.policy import Policy
from kvcache.rows import pack_rows, unpack_rows
from latentmas.protocol.certification import Certification, Grade, Tier
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Basis
from latentmas.protocol.snapshot import KVSnapshot, whole
from latentmas.protocol.w_matrix import Method, QualityMetrics, TokenAlignment, WMatrix, WMatrixBuilder

GEOMETRY = KVGeometry(2, 2, 8, 8, (10_000.0, 1e6), (None, None))
OTHER = KVGeometry(3, 1, 6, 4, (1e4, 1e4, 1e6), (None, None, None))
WINDOWED = replace(GEOMETRY, windows=(4, None))
WEIGHTS = "sha256:" + "a" * 64
ANY = Policy(require_certificate=False)
EVER = datetime(2200, 1, 1, tzinfo=UTC)
CERTIFICATE = Certification(Tier.GOLD, Grade.GOOD, 0.03, datetime(2026, 1, 1, tzinfo=UTC), EVER)


def rows_of(tokens: int, geometry: KVGeometry = GEOMETRY, seed: int = 0) -> np.ndarray:
    """Rows of BOS, which is loud, and of tokens."""
    rows = np.random.default_rng(seed).normal(size=(1 + tokens, geometry.width)).astype("f4")
    rows[0] = bos_of(geometry)
    return rows


def bos_of(geometry: KVGeometry = GEOMETRY) -> np.ndarray:
    return 5 * np.random.default_rng(99).normal(size=geometry.width).astype("f4")


def cache(tokens: int = 20, geometry: KVGeometry = GEOMETRY, *, seed: int = 0, **known: Any) -> KVSnapshot:
    """BOS and that many tokens, each of which stands for two characters."""
    keys, values = unpack_rows(rows_of(tokens, geometry, seed), geometry=geometry)
    offsets = np.array([(0, 0)] + [(2 * i, 2 * i + 2) for i in range(tokens)], np.int32)
    frame = whole(geometry, 1 + tokens, **{"model": "alpha", "weights": WEIGHTS, "offsets": offsets} | known)
    return KVSnapshot(frame, keys, values)


def rows_in(snapshot: KVSnapshot) -> np.ndarray:
    frame = snapshot.frame
    return pack_rows(snapshot.keys, snapshot.values, geometry=frame.geometry, positions=frame.positions)


def w_matrix(
    source: KVGeometry = GEOMETRY,
    target: KVGeometry = GEOMETRY,
    *,
    models: tuple[str, str] = ("alpha", "beta"),
    without: tuple[str, ...] = (),
    arrays: Mapping[str, Any] | None = None,
    **fields: Any,
) -> WMatrix:
    """The identity between equal geometries, noise between others; `fields` replace those of its document."""
    identity = source.width == target.width
    generator = np.random.default_rng(1)
    unified = source.width if identity else 8
    shape = {"encoder": (source.width, unified), "decoder": (unified, target.width)}
    every: dict[str, Any] = {
        name: np.eye(unified, dtype="f4") if identity else generator.normal(size=size).astype("f4") / 4
        for name, size in shape.items()
    }
    for side, width in (("source", source.width), ("target", target.width)):
        every |= {f"{side}_mean": np.zeros(width, "f4"), f"{side}_scale": np.ones(width, "f4")}
    every |= {"source_bos": bos_of(source), "target_bos": 2 * bos_of(target), "latent_scale": np.ones(unified, "f4")}
    every |= arrays or {}
    builder = (
        WMatrixBuilder()
        .set_version("1.0.0")
        .set_models(*models, source_weights=WEIGHTS)
        .set_geometry(source, target)
        .set_method(Method.LEARNED, token_alignment=TokenAlignment.CAUSAL_SPANS)
        .set_weights(every.pop("encoder"), every.pop("decoder"))
        .set_arrays(**{name: array for name, array in every.items() if name not in without})
        .set_quality(QualityMetrics(Basis.FUNCTIONAL, 0.8, 0.8, 1000))
    )
    builder.fields |= fields
    return builder.build()
