"""Fit the linear map between two models from their calibration packs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import jax
import numpy as np

from factory.alignment import ridge
from factory.alignment.gram import gram_matrices
from factory.alignment.standardise import Moments, Standard
from latentmas.protocol.tensors import Array

PairedChunks = Callable[[], Iterator[tuple[Array, Array]]]  # may be called more than once


@dataclass(frozen=True, slots=True)
class LinearMap:
    """Encoder `[ds, rank]` and decoder `[rank, dt]` in standardised space, strongest direction first."""

    source: Standard
    target: Standard
    encoder: Array
    decoder: Array
    rows: int
    ridge: float

    def truncated(self, rank: int) -> "LinearMap":
        return replace(self, encoder=self.encoder[:, :rank], decoder=self.decoder[:rank])


def fit_linear_map(
    chunks: PairedChunks, *, penalty: float, rank: int, progress: Callable[[int, int], None]
) -> LinearMap:
    """Return the ridge map of the paired rows, truncated to `rank`. Two passes over the data."""
    ours, theirs = Moments(), Moments()
    total = 0
    for mine, others in chunks():
        ours.add(mine)
        theirs.add(others)
        total += 1
    source, target = ours.standard(), theirs.standard()
    standardised = ((source.apply(mine), target.apply(others)) for mine, others in _counted(chunks(), total, progress))
    with jax.enable_x64(True):
        gram, cross, rows = gram_matrices(standardised, source=len(source.mean), target=len(target.mean))
        lower = ridge.factor(gram, penalty).astype(np.float32)
        whitened = ridge.whiten(lower, cross)
        directions = ridge.leading_directions(whitened, rank=rank)
        encoder, decoder = np.array(ridge.encode(lower, whitened, directions)), np.array(directions.T)
    # One fp16 exponent range for both sides: without it the encoder's small entries would become subnormal.
    balance = np.sqrt(np.linalg.norm(encoder, axis=0) / np.linalg.norm(decoder, axis=1))
    return LinearMap(source, target, encoder / balance, decoder * balance[:, None], rows, penalty)


def _counted(
    chunks: Iterator[tuple[Array, Array]], total: int, progress: Callable[[int, int], None]
) -> Iterator[tuple[Array, Array]]:
    for number, chunk in enumerate(chunks):
        progress(number, total)
        yield chunk
    progress(total, total)
