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

    def arrays(self) -> dict[str, Array]:
        """Return the map as a W-Matrix's arrays, in the precision of its file."""
        return {
            "encoder": self.encoder.astype(np.float16),
            "decoder": self.decoder.astype(np.float16),
            "source_mean": self.source.mean,
            "source_scale": self.source.scale,
            "target_mean": self.target.mean,
            "target_scale": self.target.scale,
        }


@dataclass(frozen=True, slots=True)
class PairStatistics:
    """All that a fit needs to know of the paired rows; `gram` and `cross` are float64, of standardised rows."""

    source: Standard
    target: Standard
    gram: jax.Array  # [ds, ds], lower triangle
    cross: jax.Array  # [ds, dt]
    rows: int


def fit_linear_map(
    chunks: PairedChunks, *, penalty: float, rank: int, progress: Callable[[int, int], None]
) -> LinearMap:
    """Return the ridge map of the paired rows, truncated to `rank`. Two passes over the data."""
    return solve(accumulate(chunks, progress=progress), penalty=penalty, rank=rank)


def accumulate(chunks: PairedChunks, *, progress: Callable[[int, int], None]) -> PairStatistics:
    """Return the statistics of the paired rows: one pass for mean and scale, one for the Gram matrices."""
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
    return PairStatistics(source, target, gram, cross, rows)


def solve(statistics: PairStatistics, *, penalty: float, rank: int) -> LinearMap:
    """Return the map for one penalty. The memory of `statistics.gram` is used up; hand in a copy to solve again."""
    with jax.enable_x64(True):
        lower = ridge.factor(statistics.gram, penalty).astype(np.float32)
        whitened = ridge.whiten(lower, statistics.cross)
        directions = ridge.leading_directions(whitened, rank=rank)
        encoder, decoder = np.array(ridge.encode(lower, whitened, directions)), np.array(directions.T)
    # One fp16 exponent range for both sides: without it the encoder's small entries would become subnormal.
    balance = np.sqrt(np.linalg.norm(encoder, axis=0) / np.linalg.norm(decoder, axis=1))
    return LinearMap(
        source=statistics.source,
        target=statistics.target,
        encoder=encoder / balance,
        decoder=decoder * balance[:, None],
        rows=statistics.rows,
        ridge=penalty,
    )


def _counted(
    chunks: Iterator[tuple[Array, Array]], total: int, progress: Callable[[int, int], None]
) -> Iterator[tuple[Array, Array]]:
    for number, chunk in enumerate(chunks):
        progress(number, total)
        yield chunk
    progress(total, total)
