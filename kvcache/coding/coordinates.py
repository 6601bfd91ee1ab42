"""A snapshot in the coordinates of a codec profile: coefficients and sensitivities, before they are quantised."""

import functools as ft
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import jax
import numpy as np

from kvcache.coding.encoded import fits_float16
from kvcache.coding.profile import Group, OpenedProfile
from kvcache.kernels import transform
from kvcache.kernels.coefficient_classes import LEAST_EXPONENT, MOST_EXPONENT
from kvcache.kernels.tiles import TILE, place, product
from kvcache.rows import rows_in
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array

RECENCY_SHARE = 0.7  # of the recency measured in calibration: its steepest part holds for the very next tokens only
BINS_PER_OCTAVE = 2
# Weighted energy, as a multiple of the calibration rows' mean, above which a token is taken for an attention sink: no
# basis represents its entries, so they are stored uncoded.
OUTLIER_ENERGY = 30.0
SINK_TOLERANCE = 2e-3  # relative distance up to which the first token is the profile's BOS entry


@dataclass(frozen=True, slots=True)
class Part:
    """Coefficients of some tokens in one layer group's basis."""

    group: Group
    tokens: Array  # indices of the tokens
    coefficients: Array  # float32 [tokens, rank]
    outside: Array  # float32 [tokens]: weighted energy that the basis does not hold


@dataclass(frozen=True, slots=True)
class Coordinates:
    """A snapshot's coefficients. `sink`: token 0 is the profile's BOS entry; `exact`: tokens stored uncoded."""

    frame: SnapshotFrame
    profile: OpenedProfile
    parts: tuple[Part, ...]
    sink: bool
    exact: Array  # int32 indices
    exact_rows: Array  # float16 [exact, width], float32 where a number does not fit
    sensitivity: Array  # float32 [tokens]: log-sensitivity, minus infinity for a token that is not coded
    exponents: Array  # int64 [tokens]: how much finer each token is coded, quarters of an octave


@dataclass(frozen=True, slots=True)
class Segment:
    """The tokens [first, last), which are held by the same layers."""

    first: int
    last: int
    layers: tuple[int, ...]


def segments(frame: SnapshotFrame) -> Iterator[Segment]:
    """Yield the snapshot's segments, oldest first: in a sliding-window model the oldest tokens lack layers."""
    edges = sorted({0, *frame.starts, frame.tokens})
    for first, last in itertools.pairwise(edges):
        yield Segment(first, last, tuple(layer for layer, start in enumerate(frame.starts) if start <= first))


def columns(geometry: KVGeometry, layers: tuple[int, ...]) -> Array:
    """Return which columns of a row belong to the layers."""
    return (np.array(layers, np.int64)[:, None] * geometry.layer_width + np.arange(geometry.layer_width)).reshape(-1)


@ft.lru_cache(maxsize=8)
def basis_of(group: Group) -> Array | jax.Array:
    """Return a group's basis `[width, rank]`, float32, ready for products and kept for the next snapshot."""
    return place(np.asarray(transform.dequantise_basis(group.basis, group.basis_scale)))


def coordinates(snapshot: KVSnapshot, *, profile: OpenedProfile, recency: bool = True) -> Coordinates:
    """Return the snapshot in the profile's coordinates. Raises InvalidInput where the profile does not cover it.

    Without `recency` all distances to the end count alike, as in a stream whose end is not known.
    """
    frame = snapshot.frame
    rows = rows_in(snapshot)
    sink = _is_sink(rows, frame, profile)
    sensitivity = recency_of(frame, profile) if recency else np.zeros(frame.tokens, np.float32)
    loud = np.zeros(frame.tokens, bool)
    found: list[Part] = []
    for segment in segments(frame):
        groups = profile.groups_for(segment.layers)
        energy, usual = np.zeros(segment.last - segment.first, np.float32), 0.0
        for group in groups:
            taken = rows[segment.first : segment.last]
            if group.layers != tuple(range(frame.geometry.layers)):
                taken = taken[:, columns(frame.geometry, group.layers)]
            coefficients, weighted, adds = _analysed(taken, group)
            energy += weighted
            usual += float(np.exp2(group.levels / 8.0).sum())
            sensitivity[segment.first : segment.last] += adds
            outside = np.maximum(weighted - np.square(coefficients).sum(1), 0.0)
            found.append(Part(group, np.arange(segment.first, segment.last), coefficients, outside))
        loud[segment.first : segment.last] = energy > OUTLIER_ENERGY * usual
    loud[0] &= not sink
    exact = np.flatnonzero(loud).astype(np.int32)
    stored = loud.copy()
    stored[0] |= sink
    sensitivity[stored] = -np.inf
    return Coordinates(
        frame=frame,
        profile=profile,
        parts=tuple(_without(part, stored) for part in found),
        sink=sink,
        exact=exact,
        exact_rows=_shortest(rows[exact]),
        sensitivity=sensitivity,
        exponents=exponents_of(sensitivity),
    )


def recency_of(frame: SnapshotFrame, profile: OpenedProfile) -> Array:
    """Return each token's log-sensitivity from its distance to the context's end, float32 [tokens]."""
    distance = frame.next_position - frame.positions.astype(np.int64)
    bins = np.round(BINS_PER_OCTAVE * np.log2(distance)).astype(np.int64)
    return RECENCY_SHARE * profile.recency[np.minimum(bins, len(profile.recency) - 1)].astype(np.float32)


def exponents_of(sensitivity: Array) -> Array:
    """Return by how many quarters of an octave each token's step is made finer; the error grows with its square."""
    quarters = np.round(4 * 0.5 * sensitivity / math.log(2))
    return np.asarray(np.clip(quarters, LEAST_EXPONENT, MOST_EXPONENT).astype(np.int64))


def sink_columns(frame: SnapshotFrame) -> Array:
    """Return the columns of the first token's row that belong to layers which hold it."""
    return columns(frame.geometry, next(segments(frame)).layers)


def _is_sink(rows: Array, frame: SnapshotFrame, profile: OpenedProfile) -> bool:
    held = sink_columns(frame)
    known = profile.bos[held].astype(np.float32)
    near = np.linalg.norm(rows[0, held] - known) <= SINK_TOLERANCE * np.linalg.norm(known)
    return bool(frame.positions[0] == 0 and near)


def _analysed(rows: Array, group: Group) -> tuple[Array, Array, Array]:
    """Return each token's coefficients, its weighted energy and what the rows add to its log-sensitivity."""
    coefficients = np.empty((len(rows), group.rank), np.float32)
    energy, importance = np.empty((2, len(rows)), np.float32)
    for start in range(0, len(rows), TILE):
        tile = slice(start, start + TILE)
        weighted = (rows[tile] - group.mean) * group.weight
        coefficients[tile] = product(weighted, basis_of(group))
        energy[tile] = np.einsum("tw,tw->t", weighted, weighted)
        importance[tile] = weighted @ group.importance
    return coefficients, energy, importance


def _shortest(rows: Array) -> Array:
    """Return the rows at float16, or as they are where one does not fit."""
    return rows.astype(np.float16) if fits_float16(rows) else rows


def _without(part: Part, stored: Array) -> Part:
    kept = ~stored[part.tokens]
    if kept.all():
        return part
    return Part(part.group, part.tokens[kept], part.coefficients[kept], part.outside[kept])
