"""Fit the linear map between two models from their paired rows: ridge, Procrustes, or ridge towards Procrustes."""

import jax
import jax.numpy as jnp
import numpy as np

from factory.alignment import ridge
from factory.alignment.gram import gram_matrices
from factory.alignment.linear_map import LinearMap as LinearMap
from factory.alignment.linear_map import PairStatistics as PairStatistics
from factory.alignment.linear_map import balanced, require_penalty, require_rank
from factory.alignment.orthogonal import procrustes
from factory.alignment.ridge import towards
from factory.alignment.standardise import PairedChunks, counted, standards_of
from factory.progress import Progress
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.w_matrix import Method


def fit_linear_map(
    chunks: PairedChunks, *, penalty: float, rank: int, progress: Progress, method: Method = Method.LEARNED
) -> LinearMap:
    """Return the map of the paired rows, truncated to `rank`. Two passes over the data. Raises as `solve` does."""
    return solve(accumulate(chunks, progress=progress), method=method, penalty=penalty, rank=rank)


def accumulate(chunks: PairedChunks, *, progress: Progress) -> PairStatistics:
    """Return the statistics of the paired rows: one pass for mean and scale, one for the Gram matrices.

    Raises InvalidInput as `standards_of` does.
    """
    standards = standards_of(chunks)
    standardised = (standards.apply(chunk) for chunk in counted(chunks(), standards.chunks, progress))
    source, target = standards.source, standards.target
    with jax.enable_x64(True):
        gram, cross, rows = gram_matrices(standardised, source=len(source.mean), target=len(target.mean))
    return PairStatistics(source, target, gram, cross, rows)


def solve(statistics: PairStatistics, *, penalty: float, rank: int, method: Method = Method.LEARNED) -> LinearMap:
    """Return the map for one penalty. `statistics.gram` is donated to JAX; pass a copy to solve again.

    The orthogonal method ignores the penalty. Raises InvalidInput where there are too few rows for the rank, the rank
    is larger than a side, or the penalty is not positive.
    """
    require_rank(rank, rows=statistics.rows, largest=min(statistics.cross.shape))
    with jax.enable_x64(True):
        if method is Method.ORTHOGONAL:
            factors = procrustes(statistics.gram, statistics.cross, rank=rank)
        else:
            factors = _shrunken(statistics, penalty=penalty, rank=rank, method=method)
        encoder, decoder, scale = balanced(*factors)
    return LinearMap(
        source=statistics.source,
        target=statistics.target,
        encoder=encoder,
        decoder=decoder,
        latent_scale=scale,
        rows=statistics.rows,
        ridge=0.0 if method is Method.ORTHOGONAL else penalty,
        method=method,
    )


def _shrunken(
    statistics: PairStatistics, *, penalty: float, rank: int, method: Method
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return encoder, decoder and mean-square latents of ridge, shrunk to zero (learned) or Procrustes (hybrid)."""
    require_penalty(penalty)
    cross = statistics.cross
    if method is Method.HYBRID:
        left, right, _ = procrustes(statistics.gram, cross, rank=rank)
        cross = towards(cross, left, right, penalty)
    lower = ridge.factor(statistics.gram, penalty).astype(np.float32)
    if not np.isfinite(lower[-1, -1]):  # a pivot was not positive
        raise InvalidInput(
            f"the penalty {penalty} is below the rounding error of the Gram matrix",
            field="penalty",
            resolution="Use a larger penalty, such as 0.03.",
        )
    whitened = ridge.whiten(lower, cross)
    directions = ridge.leading_directions(whitened, rank=rank)
    encoder = ridge.encode(lower, whitened, directions)
    # E^T (G + lambda I) E is V^T A^T A V, which gives the latents' mean squares without G; its memory was donated.
    image, own = (jnp.square(each.astype(jnp.float64)).sum(axis=0) for each in (whitened @ directions, encoder))
    return encoder, directions.T, image - penalty * own
