"""Build the KV snapshots that the server takes from arrays."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame, whole
from latentmas.protocol.tensors import Array

NO_THETA = 1.0
MAX_JSON_NUMBERS = 10_000  # of all arrays of a request; more go as a file


def is_large(*arrays: Any) -> bool:
    """Return whether arrays, given as NumPy arrays or nested lists, hold more numbers than JSON should carry."""
    return sum(np.size(array) for array in arrays if array is not None) > MAX_JSON_NUMBERS


def plain_snapshot(keys: Any, values: Any, *, first: int = 0) -> KVSnapshot:
    """Return the snapshot of two-dimensional arrays: one head without RoPE, from the position `first` on."""
    rows = [np.asarray(array, np.float32) for array in (keys, values)]
    (tokens, key_width), value_width = rows[0].shape, rows[1].shape[1]
    geometry = KVGeometry(
        layers=1,
        heads=1,
        head_dim=key_width,
        rotary_dim=0,
        thetas=(NO_THETA,),
        windows=(None,),
        value_dim=None if value_width == key_width else value_width,
    )
    return KVSnapshot(_frame(geometry, tokens, first), *(array[None, :, None] for array in rows))


def model_snapshot(
    keys: Any, values: Any, *, adapter: Mapping[str, Any], weights: str | None, first: int = 0
) -> KVSnapshot:
    """Return the snapshot of `[layers, tokens, heads, dim]` arrays, with the geometry from a model's adapter."""
    shape = adapter["geometry"]
    if shape is None:
        raise ValueError(f"the server does not know the cache of {adapter['name']}: {adapter['unknown']} unknown")
    geometry = KVGeometry(
        layers=shape["layers"],
        heads=shape["heads"],
        head_dim=shape["head_dim"],
        rotary_dim=shape["rotary_dim"],
        thetas=tuple(shape["thetas"]),
        windows=tuple(shape["windows"]),
        value_dim=None if shape["value_width"] == shape["head_dim"] else shape["value_width"],
    )
    halves = [_halves(array) for array in (keys, values)]
    frame = _frame(geometry, halves[0].shape[1], first, model=adapter["name"], weights=weights)
    return KVSnapshot(frame, *halves)


def queries_of(queries: Any) -> Array | None:
    """Return queries as `[layers, n, query_heads, dim]`."""
    if queries is None:
        return None
    array = np.asarray(queries, np.float32)
    return array[None, :, None] if array.ndim == 2 else array


def _frame(geometry: KVGeometry, tokens: int, first: int, **known: Any) -> SnapshotFrame:
    frame = whole(geometry, tokens, **known)
    return replace(frame, positions=frame.positions + first, next_position=frame.next_position + first)


def _halves(array: Any) -> Array:
    """Return float16 as it is and everything else as float32."""
    given = np.asarray(array)
    return given if given.dtype == np.float16 else given.astype(np.float32)
