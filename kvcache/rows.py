"""Between a KV-cache and its rows: one vector per token, keys without RoPE (see `latentmas.protocol.geometry`)."""

import numpy as np

from kvcache.kernels import rotary
from kvcache.kernels.buckets import bucket
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array


def pack_rows(keys: Array, values: Array, *, geometry: KVGeometry, first_position: int = 0) -> Array:
    """Return rows `[tokens, width]` of rotated keys and values, both `[layers, tokens, heads, head_dim]`."""
    plain = _rotate(keys, geometry, first_position, inverse=True)
    tokens = keys.shape[1]
    both = np.stack([plain, values], axis=1)  # layers, key/value, tokens, heads, head_dim
    return np.ascontiguousarray(both.transpose(2, 0, 1, 3, 4).reshape(tokens, geometry.width))


def unpack_rows(rows: Array, *, geometry: KVGeometry, first_position: int = 0) -> tuple[Array, Array]:
    """Return keys, rotated from `first_position` on, and values, both `[layers, tokens, heads, head_dim]` float32."""
    shape = (len(rows), geometry.layers, 2, geometry.heads, geometry.head_dim)
    both = rows.astype(np.float32).reshape(shape).transpose(1, 2, 0, 3, 4)
    keys = _rotate(np.ascontiguousarray(both[:, 0]), geometry, first_position, inverse=False)
    return keys, np.ascontiguousarray(both[:, 1])


def _rotate(keys: Array, geometry: KVGeometry, first_position: int, *, inverse: bool) -> Array:
    if not geometry.rotary_dim:
        return keys
    tokens = keys.shape[1]
    size = bucket(tokens)
    padded = np.pad(keys, ((0, 0), (0, size - tokens), (0, 0), (0, 0)))
    frequency = np.stack([rotary.frequencies(theta, geometry.rotary_dim) for theta in geometry.thetas])
    positions = np.arange(first_position, first_position + size)
    rotated = rotary.rotate(padded, positions, frequency, inverse=inverse)
    return np.asarray(rotated)[:, :tokens]
