"""Padded sizes, tiles of tokens and large matrix products.

Padding and tiles bound memory and the number of shapes that a kernel is compiled for. Large products run on BLAS on the
host's processor, on XLA on an accelerator: on two AVX-512 cores NumPy's BLAS is 1.5 times as fast as XLA's product, and
it reads part of a matrix without a copy.
"""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from latentmas.protocol.tensors import Array

TILE = 1024  # tokens: a matrix product of fewer rows spends its time packing the other matrix
PADDED_TO = 64  # tokens: a tile's size is a multiple of it, one of 16 to compile for
SMALLEST = 64  # tokens in a bucket
_on_device = jax.jit(jnp.matmul)


def bucket(tokens: int, *, least: int = SMALLEST) -> int:
    """Return the padded size for so many tokens that are not cut into tiles: the next power of two."""
    return max(least, 1 << (tokens - 1).bit_length())


def padded(array: Array, size: int, *, axis: int = 0) -> Array:
    """Return the array filled up with zeros to a size along one axis."""
    missing = size - array.shape[axis]
    return np.pad(array, [(0, missing if number == axis else 0) for number in range(array.ndim)]) if missing else array


def in_tiles(kernel: Callable[..., jax.Array], array: Array, *others: Array, axis: int = 0) -> Array:
    """Return `kernel(array, *others)`, computed in padded tiles of tokens.

    Tokens are `axis` in the first array and in the result, and the first axis of the other arrays.
    """
    results = []
    for start in range(0, array.shape[axis], TILE):
        tile = _cut(array, start, start + TILE, axis)
        tokens = tile.shape[axis]
        size = tokens + -tokens % PADDED_TO
        rest = [padded(other[start : start + TILE], size) for other in others]
        results.append(_cut(np.asarray(kernel(padded(tile, size, axis=axis), *rest)), 0, tokens, axis))
    return np.concatenate(results, axis) if len(results) != 1 else results[0]


def place(matrix: Array) -> Array | jax.Array:
    """Return the matrix on the device that computes products with it: as it is on a CPU, else copied there once."""
    return matrix if jax.default_backend() == "cpu" else jnp.asarray(matrix)


def tiles(tokens: int) -> Iterator[slice]:
    """Yield even parts of about TILE tokens: a last tile of a few would take nearly as long as a whole one."""
    parts = max(1, round(tokens / TILE))
    bounds = [tokens * part // parts for part in range(parts + 1)]
    yield from map(slice, bounds, bounds[1:])


def product(
    rows: Float[Array, "tokens inner"],
    matrix: Float[Array | jax.Array, "inner outer"],
    *,
    into: Float[Array, "tokens outer"] | None = None,
) -> Array:
    """Return `rows @ matrix`, computed on the matrix's device, as a new array in host memory or `into` one."""
    if not isinstance(matrix, jax.Array):
        return np.matmul(rows, matrix, out=into)
    found = np.array(_on_device(rows, matrix))
    if into is None:
        return found
    into[:] = found
    return into


def _cut(array: Array, start: int, stop: int, axis: int) -> Array:
    return array[(slice(None),) * axis + (slice(start, stop),)]
