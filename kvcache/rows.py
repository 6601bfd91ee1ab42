"""Convert a KV-cache to rows and back: one vector per token, keys without RoPE (see `latentmas.protocol.geometry`)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kvcache.kernels import rotary
from kvcache.kernels.tiles import TILE
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, whole
from latentmas.protocol.tensors import Array


def pack_rows(keys: Array, values: Array, *, geometry: KVGeometry, positions: Array | None = None) -> Array:
    """Return rows `[tokens, width]` of rotated keys `[layers, tokens, heads, head_dim]` and values, float32.

    `positions` `[tokens]` are those the keys are rotated at; 0, 1, 2 and so on by default.
    """
    layers, tokens = keys.shape[:2]
    rows = np.empty((tokens, layers, geometry.layer_width), np.float32)
    places = _positions(positions, tokens)
    for start in range(0, tokens, TILE):
        part = slice(start, start + TILE)
        tables = rotary.tables(places[part], geometry)
        for layer, (into_keys, into_values) in enumerate(_by_layer(rows[part], geometry)):
            rotary.turn(keys[layer, part], *tables[layer], into=into_keys, inverse=True)
            into_values[:] = values[layer, part]
    return rows.reshape(tokens, geometry.width)


def rows_in(snapshot: KVSnapshot) -> Array:
    """Return the rows `[tokens, width]` of a snapshot's tokens, zero where a layer no longer holds one."""
    frame = snapshot.frame
    return pack_rows(snapshot.keys, snapshot.values, geometry=frame.geometry, positions=frame.positions)


def whole_snapshot(rows: Array, *, geometry: KVGeometry, **known: Any) -> KVSnapshot:
    """Return the snapshot whose rows `[tokens, width]` these are, at the positions 0, 1, 2 and so on.

    `known` are further fields of its frame.
    """
    keys, values = unpack_rows(rows, geometry=geometry)
    return KVSnapshot(whole(geometry, len(rows), **known), keys, values)


def unpack_rows(rows: Array, *, geometry: KVGeometry, positions: Array | None = None) -> tuple[Array, Array]:
    """Return keys `[layers, tokens, heads, head_dim]`, rotated at their positions, and values, both float32."""
    tokens, layers, heads = len(rows), geometry.layers, geometry.heads
    keys = np.empty((layers, tokens, heads, geometry.head_dim), np.float32)
    values = np.empty((layers, tokens, heads, geometry.value_width), np.float32)
    unpack_into(keys, values, rows, geometry=geometry, positions=_positions(positions, tokens))
    return keys, values


def unpack_into(keys: Array, values: Array, rows: Array, *, geometry: KVGeometry, positions: Array) -> None:
    """Write rows `[tokens, width]` to keys `[layers, tokens, heads, head_dim]`, rotated, and values, both float32."""
    for start in range(0, len(rows), TILE):
        part = slice(start, start + TILE)
        tables = rotary.tables(positions[part], geometry)
        for layer, (plain, of_values) in enumerate(_by_layer(rows[part], geometry)):
            rotary.turn(plain, *tables[layer], into=keys[layer, part])
            values[layer, part] = of_values


def _by_layer(rows: Array, geometry: KVGeometry) -> Iterator[tuple[Array, Array]]:
    """Yield each layer's keys `[tokens, heads, head_dim]` and values, as views of rows `[tokens, ...]`."""
    tokens, split = len(rows), geometry.heads * geometry.head_dim
    for layer in rows.reshape(tokens, geometry.layers, geometry.layer_width).transpose(1, 0, 2):
        keys, values = layer[:, :split], layer[:, split:]
        yield (
            keys.reshape(tokens, geometry.heads, geometry.head_dim),
            values.reshape(tokens, geometry.heads, geometry.value_width),
        )


def _positions(positions: Array | None, tokens: int) -> Array:
    return np.arange(tokens) if positions is None else positions
