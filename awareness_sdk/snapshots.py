"""Build the KV snapshots that the server takes from arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, whole
from latentmas.protocol.tensors import Array

MAX_JSON_NUMBERS = 10_000  # of all arrays of a request; more go as a file


def is_large(*arrays: Any) -> bool:
    """Return whether arrays, given as NumPy arrays or nested lists, hold more numbers than JSON should carry."""
    return sum(np.size(array) for array in arrays if array is not None) > MAX_JSON_NUMBERS


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
    frame = whole(geometry, halves[0].shape[1], model=adapter["name"], weights=weights)
    return KVSnapshot(frame.moved(first), *halves)


def queries_of(queries: Any) -> Array | None:
    """Return queries as `[layers, n, query_heads, dim]`."""
    if queries is None:
        return None
    array = np.asarray(queries, np.float32)
    return array[None, :, None] if array.ndim == 2 else array


def _halves(array: Any) -> Array:
    """Return float16 as it is and everything else as float32."""
    given = np.asarray(array)
    return given if given.dtype == np.float16 else given.astype(np.float32)
