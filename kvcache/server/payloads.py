"""Read the snapshot and its queries from a request: from arrays in JSON, or from the file in its body."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kvcache.adapters import ModelAdapter
from latentmas.protocol.errors import InvalidInput, ModelNotSupported, TooLarge
from latentmas.protocol.plain import plain_queries, plain_snapshot
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame, read_snapshot, whole, write_snapshot
from latentmas.protocol.tensors import Array, TensorFile, numbers

PLAIN_RANK = 2
FULL_RANK = 4
WORKING_BYTES = 4  # per number: computations are in float32
FURTHER_ARRAYS = ("queries", "query_positions", "compressed")  # of a raw snapshot file, beside the snapshot's own


@dataclass(frozen=True, slots=True)
class Given:
    """A request's cache to compress or compare; `compressed` is the .kvz file to compare it with."""

    snapshot: KVSnapshot
    queries: Array | None = None
    query_positions: Array | None = None
    compressed: bytes | None = None


def from_arrays(values: Mapping[str, Any], adapter: ModelAdapter, *, first: int = 0) -> Given:
    """Return the snapshot of plain arrays, or of the model's own cache (four-deep ones), from the position `first` on.

    Raises InvalidInput, DimensionMismatch or ModelNotSupported.
    """
    queries, positions = values.get("queries"), values.get("query_positions")
    if _depth(values["keys"]) <= PLAIN_RANK:
        snapshot = plain_snapshot(values["keys"], values["values"], window=adapter.window, first=first)
        rows = None if queries is None else plain_queries(queries)
    else:
        snapshot = _of_model(values, adapter, first)
        rows = None if queries is None else numbers("queries", queries, rank=FULL_RANK)
    return Given(snapshot, rows, None if positions is None else _positions(positions))


def from_file(file: bytes | TensorFile) -> Given:
    """Return the raw snapshot in a safetensors file, which may hold queries and a .kvz file as tensors too.

    Raises InvalidInput or DimensionMismatch.
    """
    snapshot, further = read_snapshot(file, further=FURTHER_ARRAYS, field="body")
    compressed = further.pop("compressed", None)
    return Given(snapshot, **further, compressed=None if compressed is None else compressed.tobytes())


def to_file(given: Given) -> bytes:
    """Return what `from_file` reads."""
    return write_snapshot(
        given.snapshot,
        queries=given.queries,
        query_positions=given.query_positions,
        compressed=None if given.compressed is None else np.frombuffer(given.compressed, np.uint8),
    )


def fitted(given: Given, adapter: ModelAdapter) -> Given:
    """Return the input with the model's sliding window, where it is plain arrays without a window."""
    frame = given.snapshot.frame
    if not frame.is_plain or frame.geometry.windows != (None,) or adapter.window is None:
        return given
    geometry = replace(frame.geometry, windows=(adapter.window,))
    return replace(given, snapshot=replace(given.snapshot, frame=replace(frame, geometry=geometry)))


def check_size(snapshot_width: int, tokens: int, *, limit: int) -> None:
    """Raise TooLarge for a cache that would take more than `limit` bytes to work on."""
    size = snapshot_width * tokens * WORKING_BYTES
    if size > limit:
        raise TooLarge(
            f"{tokens} tokens of {snapshot_width} numbers take {size} bytes to work on; the limit is {limit}",
            resolution="Send it as a stream, in chunks.",
            limit=limit,
            size=size,
        )


def whole_frame(adapter: ModelAdapter, tokens: int, *, weights: str | None, instead: str) -> SnapshotFrame:
    """Return the frame of a model's unabridged cache. Raises ModelNotSupported, saying what to send `instead`."""
    if adapter.geometry is None:
        raise ModelNotSupported(
            f"the cache of {adapter.model} cannot be described: {', '.join(adapter.unknown)} unknown",
            resolution=instead,
            model=adapter.model,
        )
    return whole(adapter.geometry, tokens, model=adapter.model, weights=weights)


def _of_model(values: Mapping[str, Any], adapter: ModelAdapter, first: int) -> KVSnapshot:
    keys, held = (numbers(name, values[name], rank=FULL_RANK) for name in ("keys", "values"))
    instead = "Give keys and values as two-dimensional arrays, or correct the model's facts."
    frame = whole_frame(adapter, keys.shape[1], weights=values.get("weights"), instead=instead)
    snapshot = KVSnapshot(frame.moved(first), keys, held)
    return snapshot if values["rope"] == "applied" else _rotated(snapshot)


def _rotated(snapshot: KVSnapshot) -> KVSnapshot:
    """Return the snapshot with RoPE applied to its keys, which came without."""
    from kvcache.rows import unpack_rows

    frame = snapshot.frame
    layers, tokens = snapshot.keys.shape[:2]
    parts = [each.transpose(1, 0, 2, 3).reshape(tokens, layers, -1) for each in (snapshot.keys, snapshot.values)]
    rows = np.concatenate(parts, axis=-1).reshape(tokens, frame.geometry.width)
    keys, values = unpack_rows(rows, geometry=frame.geometry, positions=frame.positions)
    return KVSnapshot(frame, keys, values)


def _positions(given: list[int]) -> Array:
    try:
        return np.asarray(given, dtype=np.int32)
    except OverflowError as error:
        raise InvalidInput("query_positions holds a number beyond 32 bits", field="query_positions") from error


def _depth(value: object) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth
