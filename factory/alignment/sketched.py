"""Ridge for widths whose Gram matrix does not fit into memory: 65 536 of an 8B model, 163 840 of a 70B one.

A streamed randomised range finder (Halko, Martinsson and Tropp 2011) gives an orthonormal basis Q `[ds, width]` of the
leading directions of the source rows: Q = orth(X^T X Omega), one pass for each power of X^T X. Ridge is then solved
exactly for the rows X Q, in one more pass. Memory is linear in the feature width times the width of the sketch, time
linear in the rows. What is lost is the part of the target that depends on source directions outside the sketch.

Rows are float32, standardised slab by slab; sums over the slabs are float32 where they are as wide as a model and
float64 where they are as wide as the sketch.
"""

import functools as ft
from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import scipy.linalg
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Float32, Float64

from factory.alignment.fit import LinearMap, balanced, require_penalty, require_rank
from factory.alignment.standardise import PairedChunks, Standards, standards_of
from factory.progress import Progress
from latentmas.protocol.errors import InvalidInput

WIDTH = 2048  # of the sketch
NOISE = 1e-6  # of the largest entry of R: smaller ones are rounding error in float32
POWERS = 1  # of X^T X before the basis is taken; every one costs a pass
SLAB = 1 << 26  # entries of the wider side that are standardised at a time: 256 MiB
BLOCK = 16_384  # target features


@dataclass(frozen=True, slots=True)
class SketchStatistics:
    """Sufficient statistics for ridge in the sketch, of standardised rows X and Y."""

    standards: Standards
    basis: Float32[Array, "ds width"]  # Q
    gram: Float64[Array, "width width"]  # Q^T X^T X Q / n
    cross: Float32[Array, "width dt"]  # Q^T X^T Y / n


def fit_sketched(
    chunks: PairedChunks, *, penalty: float, rank: int, progress: Progress, width: int = WIDTH
) -> LinearMap:
    """Return the ridge map of the paired rows in a sketch of the source. Three passes. Raises as the two steps do."""
    require_penalty(penalty)
    statistics = accumulate_sketch(chunks, width=width, rank=rank, progress=progress)
    return solve_sketch(statistics, penalty=penalty, rank=rank)


def accumulate_sketch(
    chunks: PairedChunks, *, progress: Progress, rank: int = 1, width: int = WIDTH, powers: int = POWERS
) -> SketchStatistics:
    """Return the statistics of the paired rows in a sketch of at most `width` directions; 2 + `powers` passes.

    Raises InvalidInput for no rows, rows that are all alike, values that are not finite and, after the first pass, too
    few rows for a map of that rank.
    """
    if width < 1 or powers < 1:
        raise InvalidInput(f"the sketch has the width {width} and {powers} powers; both must be positive")
    progress(0, powers + 2)
    standards = standards_of(chunks)
    require_rank(rank, rows=standards.rows, largest=min(width, len(standards.target.mean)))
    progress(1, powers + 2)
    with jax.enable_x64(True):
        basis = jr.normal(jr.key(0), (len(standards.source.mean), width), dtype=jnp.float32)
        for power in range(powers):
            basis = _orthonormal(_image(chunks, standards, basis))
            progress(2 + power, powers + 2)
        gram, cross = _products(chunks, standards, basis)
    progress(powers + 2, powers + 2)
    return SketchStatistics(standards, basis, gram, cross)


def solve_sketch(statistics: SketchStatistics, *, penalty: float, rank: int) -> LinearMap:
    """Return reduced-rank ridge in the sketch: exact there, whatever its rank.

    With Q^T G Q + penalty I = L L^T and A = L^-1 C, A = U S V^T has few rows, so U comes from A A^T; the encoder is
    Q L^-T U and the decoder U^T A = S V^T. Raises InvalidInput for a rank that sketch, target or rows do not have.
    """
    require_penalty(penalty)
    require_rank(rank, rows=statistics.standards.rows, largest=len(statistics.standards.target.mean))
    if rank > len(statistics.gram):
        raise InvalidInput(
            f"the rank is {rank}, but the sketch holds {len(statistics.gram)} directions of the source",
            resolution="Use a wider sketch, or a smaller unified dimension.",
            field="unified_dimension",
        )
    with jax.enable_x64(True):
        encoder, decoder, scale = balanced(
            *_reduced_rank(statistics.basis, statistics.gram, statistics.cross, penalty, rank)
        )
    return LinearMap(
        source=statistics.standards.source,
        target=statistics.standards.target,
        encoder=encoder,
        decoder=decoder,
        latent_scale=scale,
        rows=statistics.standards.rows,
        ridge=penalty,
    )


@ft.partial(jax.jit, static_argnums=4)
def _reduced_rank(
    basis: Float32[Array, "ds width"],
    gram: Float64[Array, "width width"],
    cross: Float32[Array, "width dt"],
    penalty: float,
    rank: int,
) -> tuple[Float32[Array, "ds rank"], Float32[Array, "rank dt"], Float64[Array, " rank"]]:
    """Return encoder, decoder and the mean squares of the latents."""
    lower = jnp.linalg.cholesky(gram + penalty * jnp.eye(len(gram)))
    whitened = solve_triangular(lower.astype(jnp.float32), cross, lower=True)
    _, left = jnp.linalg.eigh(_outer(whitened))
    left = left[:, ::-1][:, :rank]
    inside = solve_triangular(lower, left, lower=True, trans=1)
    # The columns of U have length 1; the penalty's share of that is not variance of the rows.
    moments = 1 - penalty * jnp.square(inside).sum(axis=0)
    return basis @ inside.astype(jnp.float32), left.T.astype(jnp.float32) @ whitened, moments


def _image(chunks: PairedChunks, standards: Standards, basis: Float32[Array, "ds width"]) -> Float32[Array, "ds width"]:
    """Return X^T X B / n."""
    image = jnp.zeros(basis.shape, jnp.float32)
    for x, _ in _slabs(chunks, standards):
        image = _add_product(image, x, x @ basis, 1 / standards.rows)
    return image


def _orthonormal(image: Float32[Array, "ds width"]) -> Float32[Array, "ds width"]:
    """Return an orthonormal basis of what the image spans. Raises InvalidInput where it is empty or not finite.

    The image has no more independent columns than the rows have directions; the others are rounding error and dropped.
    """
    host = np.asarray(image)
    if not (np.isfinite(host).all() and host.any()):
        raise InvalidInput("the sketch of the rows is empty or not finite", resolution="Check the calibration rows.")
    basis, triangle = scipy.linalg.qr(host, mode="economic", check_finite=False)
    sizes = np.abs(np.diag(triangle))
    return jnp.asarray(basis[:, : int((sizes > NOISE * sizes[0]).sum())])


def _products(
    chunks: PairedChunks, standards: Standards, basis: Float32[Array, "ds width"]
) -> tuple[Float64[Array, "width width"], Float32[Array, "width dt"]]:
    width = basis.shape[1]
    gram, cross = jnp.zeros((width, width)), jnp.zeros((width, len(standards.target.mean)), jnp.float32)
    for x, y in _slabs(chunks, standards):
        inside = x @ basis
        gram = _add_product(gram, inside, inside, 1 / standards.rows)
        cross = _add_product(cross, inside, y, 1 / standards.rows)
    return gram, cross


def _slabs(chunks: PairedChunks, standards: Standards) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Yield standardised rows of both sides, at most SLAB numbers of the wider side at a time."""
    widest = max(len(standards.source.mean), len(standards.target.mean))
    size = 1 << max(SLAB // widest, 1).bit_length() - 1
    for chunk in chunks():
        for start in range(0, len(chunk[0]), size):
            x, y = standards.apply(tuple(each[start : start + size] for each in chunk))  # type: ignore[arg-type]
            yield jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)


@jax.jit(donate_argnums=0)
def _add_product(
    total: Float[Array, "a b"], left: Float32[Array, "rows a"], right: Float32[Array, "rows b"], factor: float
) -> Float[Array, "a b"]:
    product: Float[Array, "a b"] = (left * jnp.float32(factor)).T @ right
    return total + product.astype(total.dtype)


def _outer(wide: Float32[Array, "width dt"]) -> Float64[Array, "width width"]:
    """Return A A^T: float32 products of blocks of features, summed in float64."""
    total = jnp.zeros((len(wide), len(wide)))
    for start in range(0, wide.shape[1], BLOCK):
        block = wide[:, start : start + BLOCK]
        total = total + (block @ block.T).astype(jnp.float64)
    return total
