"""Paired rows as they stream by: what a chunk is, the standards of all of them, and their standardised form."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from factory.alignment.standardise import Moments, Standard
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

# Source rows, target rows and, where rows do not count alike, their weights `[rows]` (attention mass, CacheBridge).
Chunk = tuple[Array, Array] | tuple[Array, Array, Array]
PairedChunks = Callable[[], Iterator[Chunk]]  # may be called more than once
Report = Callable[[int, int], None]  # done, total


@dataclass(frozen=True, slots=True)
class Standards:
    """Mean and scale of both sides, and how many chunks and rows there are."""

    source: Standard
    target: Standard
    mean_weight: float
    chunks: int
    rows: int

    def apply(self, chunk: Chunk) -> tuple[Array, Array]:
        """Return a chunk's standardised rows; with weights each times the root of its own, which are 1 on average."""
        mine, others, weights = self.source.apply(chunk[0]), self.target.apply(chunk[1]), _weights(chunk)
        if weights is None:
            return mine, others
        root = np.sqrt(weights / self.mean_weight).astype(np.float32)[:, None]
        return mine * root, others * root


def standards_of(chunks: PairedChunks) -> Standards:
    """Return the standards of all rows; one pass.

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


def counted(chunks: Iterator[Chunk], total: int, progress: Report) -> Iterator[Chunk]:
    """Yield the chunks and report each."""
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
