"""Shared steps of the recipes: ridge penalty, choice of the unified dimension, assembly of the W-Matrix."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from factory.packs.pack import OpenedPack
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import ModelIdentity, Quality
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import (
    STANDARDS,
    Distribution,
    Method,
    QualityMetrics,
    Space,
    TokenAlignment,
    WMatrix,
    WMatrixBuilder,
    read_w_matrix,
)

RIDGE = 0.03  # on the diagonal of the standardised Gram matrix, which is 1; chosen by `python -m benchmarks.ridge`
TOLERANCE = 0.005  # of (information) retention: the smallest du this close to the best is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a W-Matrix maps and how it was made. Simulated models have no weights digest."""

    version: str
    source: ModelIdentity
    target: ModelIdentity
    token_alignment: TokenAlignment
    method: Method = Method.LEARNED
    space: Space = Space.KV_CACHE
    geometries: tuple[KVGeometry, KVGeometry] | None = None
    distribution: Distribution | None = None


def smallest_good(trials: Mapping[int, float]) -> int:
    """Return the smallest unified dimension within TOLERANCE of the best of `{du: retention}`."""
    best = max(trials.values())
    return min(dimension for dimension, kept in trials.items() if kept >= best - TOLERANCE)


def sinks_of(source: OpenedPack, target: OpenedPack) -> dict[str, Array]:
    """Return both models' BOS rows (attention sinks), `[ds]` and `[dt]`, which every W-Matrix of KV-caches carries."""
    return {"source_bos": source.of_cache()[1], "target_bos": target.of_cache()[1]}


def assemble(arrays: Mapping[str, Array], metrics: QualityMetrics, origin: Origin) -> WMatrix:
    """Build the W-Matrix of these arrays. Raises InvalidInput or DimensionMismatch if they are inconsistent."""
    rest = dict(arrays)
    encoder, decoder = rest.pop("encoder"), rest.pop("decoder")
    builder = (
        WMatrixBuilder()
        .set_version(origin.version)
        .set_models(
            origin.source.name,
            origin.target.name,
            source_weights=origin.source.weights,
            target_weights=origin.target.weights,
            space=origin.space,
        )
        .set_method(origin.method, token_alignment=origin.token_alignment)
        .set_weights(encoder, decoder, standard=_standard(encoder.shape[1]))
        .set_arrays(**rest)
        .set_quality(metrics)
    )
    if origin.geometries is not None:
        builder = builder.set_geometry(*origin.geometries)
    if origin.distribution is not None:
        builder = builder.set_distribution(origin.distribution)
    return builder.build()


def metrics_of(quality: Quality) -> QualityMetrics:
    """Return the figures that the file states; its expected quality is retention, or top-1 retrieval of vectors."""
    retained = quality.information_retention
    return QualityMetrics(
        basis=quality.basis,
        expected_quality=retained if quality.retrieval is None else quality.retrieval.top1.value,
        information_retention=retained,
        computational_cost=quality.computational_cost,
    )


def with_quality(w_matrix: WMatrix, quality: Quality) -> WMatrix:
    """Return a W-Matrix whose file states the figures measured on it; its arrays stay as they are."""
    return WMatrix(replace(w_matrix.document, quality_metrics=metrics_of(quality)), w_matrix.arrays)


def arrays_digest(arrays: Mapping[str, Array]) -> str:
    """Return the hex SHA-256 of arrays: names, types, shapes and contents."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def read_back(w_matrix: WMatrix) -> WMatrix:
    """Return a W-Matrix written to a file and read again, so that what is evaluated is what is downloaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.safetensors"
        with path.open("wb") as file:
            w_matrix.write(file)
        return read_w_matrix(path)


def _standard(unified_dimension: int) -> int:
    """Return the smallest standard that is not below du, else the largest, which building the document refuses."""
    return next((each for each in STANDARDS if each >= unified_dimension), STANDARDS[-1])
