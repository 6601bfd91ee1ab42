"""Standardise chunks of paired rows by the mean and scale of each feature, which are streamed in float64."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from factory.progress import Progress
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

# Dead features must not be amplified: after Gemma's key norm 74 of 9 216 features are almost zero. What bfloat16
# rounding or a rare token puts there would be hundreds of standard deviations and dominate whole rows.
SCALE_FLOOR = 1e-2  # of the median scale
LEAST_FLOOR = 1e-6  # of the largest, where more than half of the features are dead

# Source rows, target rows and, if they are weighted, the rows' weights `[rows]` (attention mass, CacheBridge).
Chunk = tuple[Array, Array] | tuple[Array, Array, Array]
PairedChunks = Callable[[], Iterator[Chunk]]  # may be called more than once


@dataclass(frozen=True, slots=True)
class Standard:
    """`mean` and `scale` `[features]`, float32; `scale` is the standard deviation, never zero."""

    mean: Array
    scale: Array

    def apply(self, rows: Array) -> Array:
        standardised: Array = (rows - self.mean) / self.scale
        return standardised


@dataclass(slots=True)
class Moments:
    """Running count, weight, sum and sum of squares of rows `[rows, features]`."""

    count: int = 0
    weight: float = 0.0  # sum of the weights; an unweighted row counts 1
    shift: Array | None = None
    total: Array | float = 0.0
    squares: Array | float = 0.0

    def add(self, rows: Array, *, weights: Array | None = None) -> None:
        """Add rows `[rows, features]`, each with weight 1 or its entry of `weights` `[rows]`."""
        # Around the first row, so that a large mean does not cancel the digits of a small variance.
        self.shift = rows[0].copy() if self.shift is None else self.shift
        centred = rows - self.shift[None]
        self.count += len(rows)
        if weights is None:
            self.weight += len(rows)
            self.total = self.total + centred.sum(axis=0, dtype=np.float64)
            self.squares = self.squares + np.einsum("ij,ij->j", centred, centred, dtype=np.float64)
        else:
            self.weight += float(weights.sum(dtype=np.float64))
            self.total = self.total + np.einsum("i,ij->j", weights, centred, dtype=np.float64)
            self.squares = self.squares + np.einsum("i,ij,ij->j", weights, centred, centred, dtype=np.float64)

    def standard(self) -> Standard:
        """Return mean and standard deviation. Raises InvalidInput without rows, or if a value is not finite."""
        if self.shift is None or not self.weight > 0:
            raise InvalidInput("there are no rows to standardise")
        if not np.isfinite(self.squares).all():
            raise InvalidInput("the rows hold values that are not finite", resolution="Capture the rows again.")
        mean = self.total / self.weight
        scale = np.sqrt(np.maximum(self.squares / self.weight - np.square(mean), 0.0))
        # Equal rows have the scale 0; with the scale 1 they become zeros.
        floor = max(SCALE_FLOOR * float(np.median(scale)), LEAST_FLOOR * float(scale.max()))
        scale = np.maximum(scale, floor) if floor > 0 else np.ones_like(scale)
        return Standard((mean + self.shift).astype(np.float32), scale.astype(np.float32))


def standard_of(rows: Array) -> Standard:
    """Return mean and standard deviation of rows that are in memory."""
    moments = Moments()
    moments.add(rows)
    return moments.standard()


@dataclass(frozen=True, slots=True)
class Standards:
    """Mean and scale of both sides, and how many chunks and rows there are."""

    source: Standard
    target: Standard
    mean_weight: float
    chunks: int
    rows: int

    def apply(self, chunk: Chunk) -> tuple[Array, Array]:
        """Return a chunk's standardised rows; weighted rows are multiplied by sqrt(weight / mean weight)."""
        mine, others, weights = self.source.apply(chunk[0]), self.target.apply(chunk[1]), _weights(chunk)
        if weights is None:
            return mine, others
        root = np.sqrt(weights / self.mean_weight).astype(np.float32)[:, None]
        return mine * root, others * root


def standards_of(chunks: PairedChunks) -> Standards:
    """Return mean and scale of both sides over all rows; one pass.

    Raises InvalidInput for no rows, values that are not finite, and weights that are negative or all zero.
    """
    ours, theirs = Moments(), Moments()
    total = 0
    for chunk in chunks():
        weights = _weights(chunk)
        ours.add(chunk[0], weights=weights)
        theirs.add(chunk[1], weights=weights)
        total += 1
    return Standards(ours.standard(), theirs.standard(), ours.weight / ours.count, total, ours.count)


def counted(chunks: Iterator[Chunk], total: int, progress: Progress) -> Iterator[Chunk]:
    """Yield the chunks and report each as progress."""
    for number, chunk in enumerate(chunks):
        progress(number, total)
        yield chunk
    progress(total, total)


def _weights(chunk: Chunk) -> Array | None:
    if len(chunk) == 2:
        return None
    weights = chunk[2]
    if weights.shape != (len(chunk[0]),) or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InvalidInput(
            f"the weights {weights.shape} of {len(chunk[0])} rows must be one number a row, finite and not negative",
            field="weights",
        )
    return weights
