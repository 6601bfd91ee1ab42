"""Fit the linear map between two models from their paired rows: ridge, Procrustes, or ridge towards Procrustes."""

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import blas

from factory.alignment import ridge
from factory.alignment.gram import gram_matrices
from factory.alignment.orthogonal import procrustes
from factory.alignment.ridge import towards
from factory.alignment.standardise import PairedChunks, Standard, Standards, counted, standards_of
from factory.progress import Progress
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Method

LEAST_SCALE = 1e-6  # of the largest latent's scale: scales are divided by and must not be zero


@dataclass(frozen=True, slots=True)
class LinearMap:
    """Encoder `[ds, rank]` and decoder `[rank, dt]` in standardised space, strongest direction first.

    `latent_scale` `[rank]` is the root mean square of every latent over the calibration rows. `factor` `[ds, ds]` is
    the lower Cholesky factor of their penalised Gram matrix, which `unseen` needs; only ridge has one.
    """

    source: Standard
    target: Standard
    encoder: Array
    decoder: Array
    latent_scale: Array
    rows: int
    ridge: float
    method: Method = Method.LEARNED
    factor: Array | None = None

    def truncated(self, rank: int) -> "LinearMap":
        return replace(
            self, encoder=self.encoder[:, :rank], decoder=self.decoder[:rank], latent_scale=self.latent_scale[:rank]
        )

    def unseen(self, mine: Array, others: Array) -> Array:
        """Return the standardised residuals `[n, dt]` of a calibration document, as if it had not been fitted on.

        Leaving a document out of ridge needs no second fit (Allen 1974, here for blocks of rows): with the document's
        rows X, B the penalised sum of all rows' products and H = X B^-1 X^T, they are (I - H)^-1 times the residuals
        of the fit. It holds for the directions that the map keeps, which are taken as given; what lies outside of them
        was never fitted. Procrustes has no factor and fits so little that its residuals are returned as they are.
        """
        x = self.source.apply(mine)
        residuals: Array = self.target.apply(others) - x @ self.encoder @ self.decoder
        if self.factor is None:
            return residuals
        whitened = blas.strsm(1.0, self.factor.T, x.T, trans_a=1)
        leverage = (whitened.T @ whitened).astype(np.float64) / self.rows
        directions = self.decoder / np.linalg.norm(self.decoder, axis=1, keepdims=True)
        within = residuals @ directions.T
        lifted = np.linalg.solve(np.eye(len(x)) - leverage, within)
        residuals += (lifted - within).astype(np.float32) @ directions
        return residuals

    def arrays(self) -> dict[str, Array]:
        """Return the map as a W-Matrix's arrays, in the precision of its file."""
        return {
            "encoder": self.encoder.astype(np.float16),
            "decoder": self.decoder.astype(np.float16),
            "source_mean": self.source.mean,
            "source_scale": self.source.scale,
            "target_mean": self.target.mean,
            "target_scale": self.target.scale,
            "latent_scale": self.latent_scale.astype(np.float32),
        }


@dataclass(frozen=True, slots=True)
class PairStatistics:
    """Sufficient statistics of paired rows for a fit: X^T X / n and X^T Y / n of standardised rows, float64."""

    source: Standard
    target: Standard
    gram: jax.Array  # [ds, ds], lower triangle
    cross: jax.Array  # [ds, dt]
    rows: int


def fit_linear_map(
    chunks: PairedChunks, *, penalty: float, rank: int, progress: Progress, method: Method = Method.LEARNED
) -> LinearMap:
    """Return the map of the paired rows, truncated to `rank`. Two passes over the data. Raises as `solve` does."""
    return solve(accumulate(chunks, progress=progress), method=method, penalty=penalty, rank=rank)


def accumulate(chunks: PairedChunks, *, progress: Progress, standards: Standards | None = None) -> PairStatistics:
    """Return the statistics of the paired rows: one pass for mean and scale, one for the Gram matrices.

    Where the rows are a part of all, `standards` are those of all. Raises InvalidInput as `standards_of` does.
    """
    standards = standards or standards_of(chunks)
    standardised = (standards.apply(chunk) for chunk in counted(chunks(), standards.chunks, progress))
    source, target = standards.source, standards.target
    with jax.enable_x64(True):
        gram, cross, rows = gram_matrices(standardised, source=len(source.mean), target=len(target.mean))
    return PairStatistics(source, target, gram, cross, rows)


def merged(one: PairStatistics, other: PairStatistics) -> PairStatistics:
    """Return the statistics of the rows of both, which were standardised alike."""
    rows = one.rows + other.rows
    with jax.enable_x64(True):
        gram, cross = (
            (mine * one.rows + theirs * other.rows) / rows
            for mine, theirs in ((one.gram, other.gram), (one.cross, other.cross))
        )
    return PairStatistics(one.source, one.target, gram, cross, rows)


def solve(statistics: PairStatistics, *, penalty: float, rank: int, method: Method = Method.LEARNED) -> LinearMap:
    """Return the map for one penalty. `statistics.gram` is donated to JAX; pass a copy to solve again.

    The orthogonal method ignores the penalty. Raises InvalidInput where there are too few rows for the rank, the rank
    is larger than a side, or the penalty is not positive.
    """
    require_rank(rank, rows=statistics.rows, largest=min(statistics.cross.shape))
    with jax.enable_x64(True):
        if method is Method.ORTHOGONAL:
            factors = procrustes(statistics.gram, statistics.cross, rank=rank)
            lower = None
        else:
            factors, lower = _shrunken(statistics, penalty=penalty, rank=rank, method=method)
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
        factor=None if lower is None else np.asarray(lower),
    )


def balanced(*factors: Array | jax.Array) -> tuple[Array, Array, Array]:
    """Return encoder, decoder and latent scale, float32, from encoder, decoder and the mean squares of the latents.

    Every latent gets the same norm in both matrices, and with it the same fp16 exponent range; otherwise the encoder's
    small entries would become subnormal.
    """
    encoder, decoder, moments = (np.asarray(each) for each in factors)
    ours, theirs = np.linalg.norm(encoder, axis=0), np.linalg.norm(decoder, axis=1)
    used = (ours > 0) & (theirs > 0)
    balance = np.sqrt(np.divide(ours, theirs, out=np.ones_like(ours), where=used))
    scale = np.sqrt(np.maximum(moments, 0.0)) / balance
    floor = LEAST_SCALE * scale.max() if scale.max() > 0 else 1.0
    return (
        (encoder / balance[None]).astype(np.float32),
        (decoder * balance[:, None]).astype(np.float32),
        np.maximum(scale, floor).astype(np.float32),
    )


def require_rank(rank: int, *, rows: int, largest: int) -> None:
    """Raise InvalidInput unless the rank is from 1 to `largest` and below the number of rows."""
    if not 1 <= rank <= largest:
        raise InvalidInput(
            f"the rank is {rank}; between these models it must be from 1 to {largest}", field="unified_dimension"
        )
    if rows <= rank:  # the mean takes one of them
        raise InvalidInput(
            f"a map of rank {rank} needs at least {rank + 1} paired rows, and there are {rows}",
            resolution=f"Calibrate on a larger corpus, or ask for a unified dimension below {max(rows, 2)}.",
            field="unified_dimension",
            needed=rank + 1,
            found=rows,
        )


def require_penalty(penalty: float) -> None:
    """Raise InvalidInput unless the penalty is a positive number."""
    if not (math.isfinite(penalty) and penalty > 0):
        raise InvalidInput(f"the penalty is {penalty}; ridge needs a positive number", field="penalty")


def _shrunken(
    statistics: PairStatistics, *, penalty: float, rank: int, method: Method
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], jax.Array]:
    """Return encoder, decoder and mean-square latents of ridge, shrunk to zero (learned) or Procrustes (hybrid).

    Beside them the Cholesky factor.
    """
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
    return (encoder, directions.T, image - penalty * own), lower
