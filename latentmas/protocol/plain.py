"""The specification's plain arrays: one layer, one head, no RoPE; keys and values are `[tokens, dim]`."""

from collections.abc import Sequence
from typing import TypeAlias

from latentmas.protocol.errors import DimensionMismatch
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, whole
from latentmas.protocol.tensors import Array, numbers

Rows: TypeAlias = Array | Sequence[Sequence[float]]
NO_THETA = 1.0  # a geometry needs an entry per layer; nothing is rotated


def plain_snapshot(keys: Rows, values: Rows, *, window: int | None = None, first: int = 0) -> KVSnapshot:
    """Return the snapshot of plain arrays, float32. Raises InvalidInput or DimensionMismatch naming the field.

    `window` is the sliding window of the model they come from, where it has one; `first` is the first position.
    """
    key_rows, value_rows = numbers("keys", keys, rank=2), numbers("values", values, rank=2)
    if len(key_rows) != len(value_rows):
        raise DimensionMismatch(
            f"values has {len(value_rows)} tokens and keys has {len(key_rows)}; both must have as many", field="values"
        )
    geometry = KVGeometry(
        layers=1,
        heads=1,
        head_dim=key_rows.shape[1],
        rotary_dim=0,
        thetas=(NO_THETA,),
        windows=(window,),
        value_dim=None if value_rows.shape[1] == key_rows.shape[1] else value_rows.shape[1],
    )
    return KVSnapshot(whole(geometry, len(key_rows)).moved(first), key_rows[None, :, None], value_rows[None, :, None])


def plain_queries(queries: Rows) -> Array:
    """Return plain queries `[n, dim]` as `[1, n, 1, dim]`, float32. Raises InvalidInput."""
    return numbers("queries", queries, rank=2)[None, :, None]
