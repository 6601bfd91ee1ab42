"""Rotary position embedding of cached keys, and its removal (RoFormer, arXiv 2104.09864), in the half-split layout."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array as NumpyArray


def frequencies(theta: float, rotary_dim: int) -> NumpyArray:
    """Return the `rotary_dim / 2` angular frequencies in radians per position, rounded to float32 as models do."""
    return (1.0 / theta ** (np.arange(0, rotary_dim, 2, dtype=np.float64) / rotary_dim)).astype(np.float32)


def frequencies_of(geometry: KVGeometry) -> NumpyArray:
    """Return the angular frequencies of every layer, float32 `[layers, rotary_dim / 2]`."""
    return np.stack([frequencies(theta, geometry.rotary_dim) for theta in geometry.thetas])


def tables(positions: NumpyArray, geometry: KVGeometry) -> list[tuple[NumpyArray, NumpyArray]]:
    """Return, for each layer, cosine and sine `[tokens, 1, rotary_dim / 2]` of the angles at these positions, float32.

    Layers with the same theta share them: most of a rotation's time went into computing them.
    """

    def table(theta: float) -> tuple[NumpyArray, NumpyArray]:
        angle = np.asarray(positions, np.float32)[:, None, None] * frequencies(theta, geometry.rotary_dim)
        return np.cos(angle), np.sin(angle)

    known = {theta: table(theta) for theta in set(geometry.thetas)}
    return [known[theta] for theta in geometry.thetas]


def turn(vectors: NumpyArray, cosine: NumpyArray, sine: NumpyArray, *, into: NumpyArray, inverse: bool = False) -> None:
    """Write one layer's `[tokens, heads, dim]` into a float32 array, rotated, or with the rotation removed."""
    pairs = cosine.shape[-1]
    plain = np.asarray(vectors, np.float32)
    first, second = plain[..., :pairs], plain[..., pairs : 2 * pairs]
    add, subtract = (np.add, np.subtract) if not inverse else (np.subtract, np.add)
    subtract(first * cosine, second * sine, out=into[..., :pairs])
    add(second * cosine, first * sine, out=into[..., pairs : 2 * pairs])
    into[..., 2 * pairs :] = plain[..., 2 * pairs :]


def rotated(vectors: NumpyArray, positions: NumpyArray, *, geometry: KVGeometry, inverse: bool = False) -> NumpyArray:
    """Return `[layers, tokens, heads, dim]` rotated at its positions, or with the rotation removed, float32."""
    plain = np.asarray(vectors, np.float32)
    if not geometry.rotary_dim:
        return plain
    turned = np.empty_like(plain)
    for number, (cosine, sine) in enumerate(tables(positions, geometry)):
        turn(plain[number], cosine, sine, into=turned[number], inverse=inverse)
    return turned


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
