"""Realign last hidden states into the input-embedding space: W = (E_out' E_out + lambda I)^-1 E_out' E_in, float64.

LatentMAS (arXiv 2511.20639). Where input and output embeddings are tied, E_in is E_out up to a factor and W is that
factor times the identity: only the norm changes then.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array as NumpyArray

PENALTY = 1e-5  # lambda of the paper; added to the sum over the vocabulary, not to its mean
Chunks = Iterable[tuple[NumpyArray, NumpyArray]]


def fit_realignment(chunks: Chunks, *, penalty: float = PENALTY) -> NumpyArray:
    """Return W `[hidden, hidden]`, float64, of paired rows (output `[n, hidden]`, input embeddings `[n, hidden]`).

    The rows come in chunks; only two Gram matrices stay. Raises InvalidInput where there are none.
    """
    with jax.enable_x64(True):
        gram = cross = None
        for outputs, inputs in chunks:
            mine, theirs = jnp.asarray(outputs, jnp.float64), jnp.asarray(inputs, jnp.float64)
            gram = _product(mine, mine) if gram is None else gram + _product(mine, mine)
            cross = _product(mine, theirs) if cross is None else cross + _product(mine, theirs)
        if gram is None or cross is None:
            raise InvalidInput("a realignment is fitted on vocabulary entries, and there are none")
        return np.asarray(_solve(gram, cross, penalty))


@jax.jit
def _product(left: Float64[Array, "n a"], right: Float64[Array, "n b"]) -> Float64[Array, "a b"]:
    return left.T @ right


@jax.jit
def _solve(
    gram: Float64[Array, "hidden hidden"], cross: Float64[Array, "hidden hidden"], penalty: Float[Array, ""]
) -> Float64[Array, "hidden hidden"]:
    lower = jax.scipy.linalg.cho_factor(gram + penalty * jnp.eye(gram.shape[0]), lower=True)
    return jax.scipy.linalg.cho_solve(lower, cross)
