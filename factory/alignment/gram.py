"""Gram matrices of paired rows, streamed: the data never has to be in memory at once.

Products of a chunk are float32, their sum over the chunks is float64. Only the lower block triangle of the source's own
Gram matrix is computed. Call inside `jax.enable_x64(True)`.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32, Float64

from latentmas.protocol.tensors import Array as NumpyArray

BLOCK = 2304  # features; large enough for full speed, small enough that little is computed twice

Strips = list[Float64[Array, "a b"]]  # strip i is block column i of the matrix, from the diagonal block down


def gram_matrices(
    pairs: Iterable[tuple[NumpyArray, NumpyArray]], *, source: int, target: int
) -> tuple[Float64[Array, "ds ds"], Float64[Array, "ds dt"], int]:
    """Return X^T X / n (only its lower triangle is valid), X^T Y / n and n, the number of rows.

    The chunks X `[rows, ds]` and Y `[rows, dt]` are standardised already.
    """
    strips = empty_strips(source)
    cross = jnp.zeros((source, target))
    rows = 0
    for mine, theirs in pairs:
        x, y = jnp.asarray(mine, jnp.float32), jnp.asarray(theirs, jnp.float32)
        strips = add_own(strips, x)
        cross = add_product(cross, x, y)
        rows += len(mine)
    return assemble(strips, 1 / rows), cross / rows, rows


def empty_strips(width: int) -> Strips:
    return [jnp.zeros((width - start, min(BLOCK, width - start))) for start in range(0, width, BLOCK)]


def add_own(strips: Strips, x: Float32[Array, "rows ds"]) -> Strips:
    """Return the strips with X^T X added; they are donated."""
    return [add_product(strip, x[:, i * BLOCK :], x[:, i * BLOCK : (i + 1) * BLOCK]) for i, strip in enumerate(strips)]


@jax.jit(donate_argnums=0)
def add_product(
    total: Float64[Array, "a b"], left: Float[Array, "rows a"], right: Float[Array, "rows b"]
) -> Float64[Array, "a b"]:
    """Return the total with the product of a chunk added; the total is donated."""
    return total + (left.T @ right).astype(jnp.float64)


@jax.jit
def assemble(strips: Strips, factor: float) -> Float64[Array, "ds ds"]:
    """Return the matrix of the strips times `factor`: side by side, each zero-padded on top."""
    size = strips[0].shape[0]
    padded = [jnp.pad(strip * factor, ((size - strip.shape[0], 0), (0, 0))) for strip in strips]
    return jnp.concatenate(padded, axis=1)


@jax.jit
def second_moments(gram: Float64[Array, "ds ds"], encoder: Float[Array, "ds du"]) -> Float64[Array, " du"]:
    """Return the mean square of every latent, the diagonal of E^T G E, from G's lower triangle."""
    below = jnp.tril(gram, -1).astype(jnp.float32) @ encoder.astype(jnp.float32)
    across = jnp.diagonal(gram)[:, None] * encoder.astype(jnp.float64)
    moments: Float64[Array, " du"] = (encoder.astype(jnp.float64) * (2 * below.astype(jnp.float64) + across)).sum(
        axis=0
    )
    return moments
