"""Multi-view canonical correlation (MAXVAR: Kettenring 1971; regularised as in Rastogi et al. 2015).

The leading eigenvectors of the block matrix Z^T Z, where Z = [X_1 L_1^-T, ..., X_N L_N^-T] are all models' rows,
whitened by L_i L_i^T = G_i + ridge I. Of all latents of unit variance they correlate most with all models together.
The block matrix `[sum d_i, sum d_i]` is never formed. Call inside `jax.enable_x64(True)`.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float32

OVERSAMPLING = 64
ITERATIONS = 4

Whitened = Mapping[tuple[int, int], Float32[Array, "di dj"]]  # L_i^-1 C_ij for i != j


def consensus(
    lowers: Sequence[Float32[Array, "d d"]], whitened: Whitened, *, ridge: float, rank: int
) -> list[Float32[Array, "d rank"]]:
    """Return the leading directions of the whitened rows, one block a model, strongest first.

    Together the blocks have orthonormal columns. Subspace iteration as in `ridge.leading_directions`.
    """
    widths = [len(lower) for lower in lowers]
    ends = np.cumsum(widths)[:-1].tolist()
    stacked = jr.normal(jr.key(0), (sum(widths), min(rank + OVERSAMPLING, sum(widths))), dtype=jnp.float32)
    stacked, _ = jnp.linalg.qr(stacked)
    for iteration in range(ITERATIONS + 1):
        blocks = jnp.split(stacked, ends)
        image = jnp.concatenate(_apply(lowers, whitened, blocks, ridge))
        if iteration < ITERATIONS:
            stacked, _ = jnp.linalg.qr(image)
    _, rotation = jnp.linalg.eigh(_symmetric(stacked.T @ image))
    return jnp.split(stacked @ rotation[:, ::-1][:, :rank], ends)


@jax.jit
def _apply(
    lowers: Sequence[jax.Array], whitened: Whitened, blocks: Sequence[jax.Array], ridge: float
) -> list[jax.Array]:
    """Return the blocks of Z^T Z B. The diagonal block of model i is I - ridge L_i^-1 L_i^-T."""
    loadings = [
        solve_triangular(lower, block, lower=True, trans=1) for lower, block in zip(lowers, blocks, strict=True)
    ]
    images = []
    for i, (lower, block) in enumerate(zip(lowers, blocks, strict=True)):
        own = block - jnp.float32(ridge) * solve_triangular(lower, loadings[i], lower=True)
        images.append(own + sum(whitened[i, j] @ loadings[j] for j in range(len(lowers)) if j != i))
    return images


def _symmetric(matrix: jax.Array) -> jax.Array:
    return (matrix + matrix.T) / 2
