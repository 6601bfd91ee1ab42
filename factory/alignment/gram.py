"""Gram matrices of paired rows, streamed: the data never has to be in memory at once.

Products of a chunk are float32, their sum over the chunks is float64. Only the lower block triangle of the source's own
Gram matrix is computed. Call inside `jax.enable_x64(True)`.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float64

from latentmas.protocol.tensors import Array as NumpyArray

BLOCK = 2304  # features; large enough for full speed, small enough that little is computed twice


def gram_matrices(
    pairs: Iterable[tuple[NumpyArray, NumpyArray]], *, source: int, target: int
) -> tuple[Float64[Array, "ds ds"], Float64[Array, "ds dt"], int]:
    """Return X^T X / n (its lower triangle; above it lies zero or not), X^T Y / n and n, the number of rows.

    The chunks X `[rows, ds]` and Y `[rows, dt]` are standardised already.
    """
    strips = [jnp.zeros((source - start, min(BLOCK, source - start))) for start in range(0, source, BLOCK)]
    cross = jnp.zeros((source, target))
    rows = 0
    for mine, theirs in pairs:
        x, y = jnp.asarray(mine, jnp.float32), jnp.asarray(theirs, jnp.float32)
        strips = [_add(strip, x[:, i * BLOCK :], x[:, i * BLOCK : (i + 1) * BLOCK]) for i, strip in enumerate(strips)]
        cross = _add(cross, x, y)
        rows += len(mine)
    return _assemble(strips, 1 / rows), cross / rows, rows


@jax.jit(donate_argnums=0)
def _add(
    total: Float64[Array, "a b"], left: Float[Array, "rows a"], right: Float[Array, "rows b"]
) -> Float64[Array, "a b"]:
    return total + (left.T @ right).astype(jnp.float64)


@jax.jit
def _assemble(strips: list[Float64[Array, "a b"]], factor: float) -> Float64[Array, "ds ds"]:
    """Return the strips side by side, each padded on top: strip i holds rows from i * BLOCK on."""
    size = strips[0].shape[0]
    padded = [jnp.pad(strip * factor, ((size - strip.shape[0], 0), (0, 0))) for strip in strips]
    return jnp.concatenate(padded, axis=1)
