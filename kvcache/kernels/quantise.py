"""Rotation and scalar quantisation of a cache's vectors, each layer with its own table, and the inverse."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from kvcache.kernels import lloyd_max, rotary
from latentmas.protocol.tensors import Array as NumpyArray

LARGEST = 1 << lloyd_max.MAX_BITS  # tables are padded to this, so that all numbers of bits share one compiled kernel
TINY = np.finfo(np.float32).tiny
CELLS_PER_UNIT = 128  # a cell is narrower than any two boundaries are apart, so it holds at most one
CELLS = 10 * CELLS_PER_UNIT  # from -5 to 5 standard deviations; the outermost boundary lies at 4.5


def tables(bits: tuple[int, ...]) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """Return, per layer, the levels, the boundaries and the index at the lower edge of every cell."""
    edges = np.arange(CELLS) / CELLS_PER_UNIT - CELLS / CELLS_PER_UNIT / 2
    levels = np.zeros((len(bits), LARGEST), np.float32)
    boundaries = np.full((len(bits), LARGEST), np.inf, np.float32)
    cells = np.zeros((len(bits), CELLS), np.int32)
    for layer, count in enumerate(bits):
        size = 1 << count
        levels[layer, :size] = lloyd_max.levels(count)
        boundaries[layer, : size - 1] = lloyd_max.boundaries(count)
        cells[layer] = np.searchsorted(boundaries[layer, : size - 1], edges)
    return levels, boundaries, cells


@jax.jit
def quantise(
    vectors: Float[Array, "layers tokens heads dim"],
    rotation: Float[Array, "dim dim"],
    levels: Float[Array, "layers levels"],
    boundaries: Float[Array, "layers levels"],
    cells: Int[Array, "layers cells"],
) -> tuple[UInt8[Array, "layers tokens heads dim"], Float[Array, "layers tokens heads"]]:
    """Return the level index of every rotated coordinate, and each vector's least-squares gain (0 for zeros)."""
    rotated = vectors @ rotation
    norm = jnp.sqrt(jnp.mean(rotated * rotated, axis=-1, keepdims=True))
    unit = rotated / jnp.maximum(norm, TINY)
    cell = jnp.clip(jnp.floor(unit * CELLS_PER_UNIT).astype(jnp.int32) + CELLS // 2, 0, CELLS - 1)
    index = jax.vmap(jnp.take)(cells, cell)
    index = index + (unit > jax.vmap(jnp.take)(boundaries, index)).astype(jnp.int32)
    chosen = jax.vmap(jnp.take)(levels, index)
    gain = norm[..., 0] * jnp.sum(unit * chosen, axis=-1) / jnp.sum(chosen * chosen, axis=-1)
    return index.astype(jnp.uint8), gain


@jax.jit
def dequantise(
    indices: UInt8[Array, "layers tokens heads dim"],
    gains: Float[Array, "layers tokens heads"],
    rotation: Float[Array, "dim dim"],
    levels: Float[Array, "layers levels"],
    mean: Float[Array, "layers heads dim"],
    positions: Int[Array, " tokens"],
    frequency: Float[Array, "layers pairs"],
) -> Float[Array, "layers tokens heads dim"]:
    """Return the vectors, with RoPE of `frequency` applied at their positions (no pairs: none)."""
    rotated = jax.vmap(jnp.take)(levels, indices.astype(jnp.int32)) * gains[..., None]
    plain: Array = rotated @ rotation.T + mean[:, None]
    return jnp.asarray(rotary.rotate(plain, positions, frequency))
