"""Hand-made codec profiles whose bases are exactly orthonormal, and caches that are drawn as a profile expects them.

Bases are of Hadamard blocks, whose entries int8 and float16 hold exactly: what a test measures is the coder's own.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kvcache.coding import transform_decoding
from kvcache.coding.coordinates import columns, segments
from kvcache.coding.encoded import Encoded
from kvcache.coding.profile import Group, OpenedProfile, ProfileDocument, Scope, open_profile, write_profile
from kvcache.kernels import coefficient_classes as classes
from kvcache.kernels.transform import BASIS_BLOCK
from kvcache.rows import pack_rows, unpack_rows
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Corpus
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame, whole

WEIGHTS = "sha256:" + "ab" * 32
MODEL = "small"
LIMIT = 63  # largest magnitude with a symbol of its own
HADAMARD = 16  # every layer width must be a multiple of it

FULL = KVGeometry(4, 2, 8, 8, (1e4,) * 4, (None,) * 4)
SLIDING = KVGeometry(4, 2, 8, 8, (1e4, 1e4, 1e4, 1e6), (8, None, 8, None))
LATENT = KVGeometry(2, 1, 8, 8, (1e4,) * 2, (None,) * 2, value_dim=40)
UNROTATED = KVGeometry(3, 1, 16, 0, (1.0,) * 3, (None,) * 3)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a test wants its profile to be like."""

    geometry: KVGeometry = FULL
    parts: int = 1  # groups of each scope
    rank: float = 1.0  # of a group's width
    loudest: int = 64  # level of the first coefficient, sixteenths of an octave
    quietest: int = -40
    limit: int = LIMIT
    importance: float = 0.0
    recency: float = 0.0  # log-sensitivity of the last token over that of the farthest
    shrink: float = 0.0
    kl_per_distortion: float | None = 0.01


def frozen_tables(limit: int = LIMIT) -> dict[str, np.ndarray]:
    """Tables of normally distributed coefficients."""
    spread = np.exp2((classes.LOWEST + classes.CLASS_UNITS * (np.arange(classes.CLASSES) + 0.5)) / classes.UNITS)
    spread = spread / np.exp2([classes.shift_of(number) for number in range(classes.CLASSES)])
    spread = np.maximum(spread, 0.3)[:, None]
    magnitudes = np.arange(-limit, limit + 1)[None]
    likely = np.exp(-0.5 * (magnitudes / spread) ** 2) / (2.5 * spread)
    likely = np.append(likely, np.maximum(1 - likely.sum(1, keepdims=True), 1e-5), axis=1)
    return {
        "frequencies": np.maximum(1, np.round(1e6 * likely)).astype("i4"),
        "limits": np.full(classes.CLASSES, limit, "i4"),
    }


def shared_arrays(shape: Shape, bos: np.ndarray) -> dict[str, np.ndarray]:
    return frozen_tables(shape.limit) | {
        "shrink": np.full((classes.CLASSES, 2), shape.shrink, "f4"),
        "recency": np.linspace(shape.recency, 0.0, 20, dtype="f4"),
        "bos": bos.astype("f2"),
    }


def groups_of(shape: Shape) -> list[Group]:
    generator = np.random.default_rng(5)
    geometry, found = shape.geometry, []
    full = tuple(layer for layer, window in enumerate(geometry.windows) if window is None)
    scopes: list[tuple[Scope, tuple[int, ...]]] = [("all", tuple(range(geometry.layers)))]
    if len(full) < geometry.layers:
        scopes.append(("full-attention", full))
    for scope, layers in scopes:
        for some in np.array_split(layers, shape.parts):
            found.append(_group(shape, scope, tuple(int(layer) for layer in some), generator))
    return found


def document_of(shape: Shape, groups: list[Group], **known: Any) -> ProfileDocument:
    document = ProfileDocument(
        kind="codec-profile",
        version="1.0.0",
        model=MODEL,
        weights=WEIGHTS,
        geometry=shape.geometry,
        corpus=Corpus("noise", WEIGHTS, 1),
        tokens=1000,
        scopes=tuple(group.scope for group in groups),
        layers=tuple(group.layers for group in groups),
        kl_per_distortion=shape.kl_per_distortion,
        curve=(),
    )
    return replace(document, **known)


def codec_profile(folder: Path, shape: Shape | None = None) -> OpenedProfile:
    """Write a profile and open it again."""
    shape = shape or Shape()
    groups = groups_of(shape)
    bos = 40 * np.random.default_rng(9).normal(size=shape.geometry.width)
    path = folder / f"profile-{len(list(folder.iterdir()))}.safetensors"
    with path.open("wb") as file:
        write_profile(file, document_of(shape, groups), groups, shared_arrays(shape, bos))
    return open_profile(path)


def drawn(
    profile: OpenedProfile,
    tokens: int,
    *,
    starts: tuple[int, ...] | None = None,
    bos: bool = False,
    loud: tuple[int, ...] = (),
    first_position: int = 0,
    seed: int = 0,
) -> KVSnapshot:
    """A cache as the profile expects it; `bos`: it begins with the BOS entry; `loud` are tokens unlike all others."""
    generator = np.random.default_rng(seed)
    frame = framed(profile.geometry, tokens, starts=starts, first_position=first_position)
    rows = np.zeros((tokens, profile.geometry.width), "f4")
    for segment in segments(frame):
        for group in profile.groups_for(segment.layers):
            spread = np.exp2(group.levels / classes.UNITS)
            coefficients = generator.normal(size=(segment.last - segment.first, group.rank)) * spread
            values = (coefficients @ basis_of(group).T) / group.weight + group.mean
            rows[segment.first : segment.last, columns(profile.geometry, group.layers)] = values
        held = columns(profile.geometry, segment.layers)
        for token in loud:
            if segment.first <= token < segment.last:
                rows[token, held] = 500 * generator.normal(size=len(held))
    if bos:
        held = columns(profile.geometry, next(segments(frame)).layers)
        rows[0, held] = profile.bos[held]
    return KVSnapshot(frame, *unpack_rows(rows, geometry=profile.geometry, positions=frame.positions))


def framed(
    geometry: KVGeometry, tokens: int, *, starts: tuple[int, ...] | None = None, first_position: int = 0
) -> SnapshotFrame:
    frame = whole(geometry, tokens, model=MODEL, weights=WEIGHTS)
    positions = frame.positions + first_position
    return replace(
        frame, positions=positions, next_position=tokens + first_position, starts=starts or (0,) * geometry.layers
    )


def decoded(encoded: Encoded, cache: KVSnapshot, profile: OpenedProfile) -> KVSnapshot:
    return KVSnapshot(cache.frame, *transform_decoding.decode(encoded, cache.frame, profile=profile))


def rows_of(cache: KVSnapshot) -> np.ndarray:
    return pack_rows(cache.keys, cache.values, geometry=cache.frame.geometry, positions=cache.frame.positions)


def basis_of(group: Group) -> np.ndarray:
    return group.basis * np.repeat(group.basis_scale.astype("f4"), BASIS_BLOCK, axis=0)[: len(group.basis)]


def _group(shape: Shape, scope: Scope, layers: tuple[int, ...], generator: np.random.Generator) -> Group:
    width = len(layers) * shape.geometry.layer_width
    rank = max(1, int(shape.rank * width))
    order = generator.permutation(width)[:rank]
    return Group(
        scope=scope,
        layers=layers,
        mean=generator.normal(size=width).astype("f4"),
        weight=generator.uniform(0.5, 2.0, size=width).astype("f4"),
        basis=_hadamard(width)[:, order],
        basis_scale=np.full((-(-width // BASIS_BLOCK), rank), 2.0**-8, "f2"),
        levels=np.round(np.linspace(shape.loudest, shape.quietest, rank)).astype("i2"),
        importance=(shape.importance * generator.normal(size=width) / np.sqrt(width)).astype("f4"),
    )


def _hadamard(width: int) -> np.ndarray:
    """Orthonormal blocks with entries of 1/4, kept as 64 times 2^-8."""
    block = np.ones((1, 1), "i1")
    while len(block) < HADAMARD:
        block = np.kron(np.array([[1, 1], [1, -1]], "i1"), block)
    return np.kron(np.eye(width // HADAMARD, dtype="i1"), 64 * block).astype("i1")
