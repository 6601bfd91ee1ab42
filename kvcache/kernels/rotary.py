"""Rotary position embedding of cached keys, and its removal (RoFormer, arXiv 2104.09864), in the half-split layout."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from kvcache.kernels.tiles import in_tiles
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array as NumpyArray


def frequencies(theta: float, rotary_dim: int) -> NumpyArray:
    """Return the `rotary_dim / 2` angular frequencies in radians per position, rounded to float32 as models do."""
    return (1.0 / theta ** (np.arange(0, rotary_dim, 2, dtype=np.float64) / rotary_dim)).astype(np.float32)


def frequencies_of(geometry: KVGeometry) -> NumpyArray:
    """Return the angular frequencies of every layer, float32 `[layers, rotary_dim / 2]`."""
    return np.stack([frequencies(theta, geometry.rotary_dim) for theta in geometry.thetas])


def rotated(vectors: NumpyArray, positions: NumpyArray, *, geometry: KVGeometry, inverse: bool = False) -> NumpyArray:
    """Return `[layers, tokens, heads, dim]` rotated at its positions, or with the rotation removed, float32."""
    plain = np.asarray(vectors, np.float32)
    if not geometry.rotary_dim:
        return plain
    frequency = frequencies_of(geometry)

    def turn(tile: NumpyArray, at: NumpyArray) -> jax.Array:
        turned: jax.Array = rotate(tile, at, frequency, inverse=inverse)
        return turned

    return in_tiles(turn, plain, positions, axis=1)


@ft.partial(jax.jit, static_argnames="inverse")
def rotate(
    keys: Float[Array, "layers tokens heads dim"],
    positions: Int[Array, " tokens"],
    frequency: Float[Array, "layers pairs"],
    *,
    inverse: bool = False,
) -> Float[Array, "layers tokens heads dim"]:
    """Return the keys rotated at their positions, or with the rotation removed. Dimensions past 2 * pairs stay."""
    angle = positions.astype(jnp.float32)[None, :, None, None] * frequency[:, None, None, :]
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    if inverse:
        sine = -sine
    pairs = frequency.shape[1]
    first, second, rest = keys[..., :pairs], keys[..., pairs : 2 * pairs], keys[..., 2 * pairs :]
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine, rest], axis=-1)
