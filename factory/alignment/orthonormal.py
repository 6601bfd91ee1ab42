"""An orthonormal basis of what the columns of a tall matrix span, however badly conditioned they are.

Two rounds over blocks of rows: the eigenvectors of the Gram matrix in float64 (SVQB, Stathopoulos and Wu 2002), which
show what is only rounding noise and leave it out, then CholeskyQR for the last digits (CholeskyQR2, Yamamoto 2015), for
which float32 products do, since the condition number is near 1 by then. Memory is that of a second matrix of the same
size. Call inside `jax.enable_x64(True)`.
"""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Float32, Float64

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array as NumpyArray

BLOCK = 16_384  # rows
STRIP = 512  # columns: of the symmetric product only the lower block triangle is computed
NOISE = 1e-6  # of the largest singular value: what float32 entries cannot tell from nothing


def orthonormal(tall: Float32[Array, "rows columns"]) -> Float32[Array, "rows kept"]:
    """Return an orthonormal basis of the columns' span, strongest direction first; `kept` is their numerical rank.

    Raises InvalidInput where all columns are zero or one is not finite.
    """
    gram = np.asarray(_gram(tall, jnp.float64))
    if not (np.isfinite(gram).all() and gram.any()):
        raise InvalidInput("the sketch of the rows is empty or not finite", resolution="Check the calibration rows.")
    values, vectors = np.linalg.eigh(gram, UPLO="L")
    kept = values > NOISE**2 * values[-1]
    basis = _times(tall, (vectors[:, kept] / np.sqrt(values[kept])[None])[:, ::-1])
    lower = jax.lax.linalg.cholesky(_gram(basis, jnp.float32), symmetrize_input=False)
    return _times(basis, np.asarray(solve_triangular(lower, jnp.eye(len(lower)), lower=True)).T)


def _gram(tall: Float32[Array, "rows columns"], precision: type) -> Float64[Array, "columns columns"]:
    """Return the lower block triangle of T^T T: products in the given precision, their sum over blocks in float64."""
    total = jnp.zeros((tall.shape[1], tall.shape[1]))
    for start in range(0, len(tall), BLOCK):
        total = _add(total, tall[start : start + BLOCK], precision)
    return total


@ft.partial(jax.jit, donate_argnums=0, static_argnums=2)
def _add(
    total: Float64[Array, "columns columns"], block: Float[Array, "rows columns"], precision: type
) -> Float64[Array, "columns columns"]:
    exact = block.astype(precision)
    for start in range(0, total.shape[1], STRIP):
        strip = exact[:, start:].T @ exact[:, start : start + STRIP]
        total = total.at[start:, start : start + STRIP].add(strip.astype(jnp.float64))
    return total


def _times(tall: Float32[Array, "rows columns"], right: NumpyArray) -> Float32[Array, "rows kept"]:
    result: NumpyArray = np.empty((len(tall), right.shape[1]), np.float32)
    factor = jnp.asarray(right, jnp.float32)
    for start in range(0, len(tall), BLOCK):
        result[start : start + BLOCK] = _multiply(tall[start : start + BLOCK], factor)
    return jnp.asarray(result)


@jax.jit
def _multiply(block: Float[Array, "rows columns"], right: Float32[Array, "columns kept"]) -> Float32[Array, "rows k"]:
    return block @ right
