"""The compact form of a snapshot's frame: repeated values are stored once, arrays in the smallest integer type.

Consecutive positions are stored as first and count, others as the gaps between them; a character span as its distance
from the end of the previous span and its length.
"""

from typing import Any, Final

import msgspec
import numpy as np

from latentmas.protocol.errors import InvalidInput, TooLarge
from latentmas.protocol.geometry import MAX_LAYERS, KVGeometry
from latentmas.protocol.snapshot import MAX_POSITION, SnapshotFrame, frame_document, parse_frame
from latentmas.protocol.tensors import Array

FRAME_PREFIX: Final = "frame."
POSITIONS, TOKEN_IDS, OFFSETS = (f"{FRAME_PREFIX}{name}" for name in ("positions", "token_ids", "offsets"))
NUMBER_BYTES = 4  # decoded keys and values are float32
TYPES = (np.uint8, np.uint16, np.int32)


def compact_frame(frame: SnapshotFrame) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the frame as canonical plain data and the arrays that do not fit there. Raises InvalidInput."""
    document = frame_document(frame)
    geometry = document["geometry"]
    document |= {"tokens": frame.tokens, "first_position": int(frame.positions[0]), "starts": _once(document["starts"])}
    document["geometry"] = geometry | {name: _once(geometry[name]) for name in ("thetas", "windows")}
    arrays = {}
    gaps = np.diff(frame.positions.astype(np.int64))
    if (gaps != 1).any():
        arrays[POSITIONS] = _smallest(POSITIONS, gaps)
    if frame.token_ids is not None:
        arrays[TOKEN_IDS] = _smallest(TOKEN_IDS, frame.token_ids.astype(np.int64))
    if frame.offsets is not None:
        arrays[OFFSETS] = _smallest(OFFSETS, _relative(frame.offsets.astype(np.int64)))
    return document, arrays


def expand_frame(document: dict[str, Any], arrays: dict[str, Array], *, max_decoded_bytes: int) -> SnapshotFrame:
    """Return the frame of a document and its arrays.

    Raises InvalidInput, and TooLarge, before any allocation, where keys and values would decode to more than the limit.
    """
    document = dict(document)
    tokens, first = (_whole(document.pop(name, None), name) for name in ("tokens", "first_position"))
    geometry = document["geometry"] = _expand_geometry(document.get("geometry"))
    document["starts"] = _each(document.get("starts"), geometry["layers"])
    decoded = tokens * _parse_geometry(geometry).width * NUMBER_BYTES
    if decoded > max_decoded_bytes:
        raise TooLarge(f"the snapshot decodes to {decoded} bytes; the limit is {max_decoded_bytes}", field="tokens")
    if strangers := sorted(set(arrays) - {POSITIONS, TOKEN_IDS, OFFSETS}):
        raise InvalidInput(f"a frame has no section {strangers[0]!r}", field=strangers[0])
    _check_arrays(arrays, tokens)
    expanded = {"positions": _positions(arrays.get(POSITIONS), first, tokens)}
    if TOKEN_IDS in arrays:
        expanded["token_ids"] = arrays[TOKEN_IDS].astype(np.int32)
    if OFFSETS in arrays:
        expanded["offsets"] = _int32(OFFSETS, _absolute(arrays[OFFSETS].astype(np.int64)))
    return parse_frame(document, expanded)


def _once(values: list[Any]) -> Any:
    """Return the one value where all are the same, otherwise the list."""
    return values[0] if all(value == values[0] for value in values) else values


def _each(value: Any, layers: int) -> Any:
    return value if isinstance(value, list) else [value] * layers


def _expand_geometry(geometry: object) -> dict[str, Any]:
    if not isinstance(geometry, dict) or not 1 <= _whole(geometry.get("layers"), "layers") <= MAX_LAYERS:
        raise InvalidInput(f"the geometry must have from 1 to {MAX_LAYERS} layers", field="layers")
    return geometry | {name: _each(geometry.get(name), geometry["layers"]) for name in ("thetas", "windows")}


def _parse_geometry(document: dict[str, Any]) -> KVGeometry:
    try:
        return msgspec.convert(document, KVGeometry, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the geometry is malformed: {error}", field="geometry") from error


def _whole(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_POSITION:
        raise InvalidInput(f"{name} is {value!r}; it must be a whole number from 0 to {MAX_POSITION}", field=name)
    return value


def _check_arrays(arrays: dict[str, Array], tokens: int) -> None:
    shapes = {POSITIONS: (tokens - 1,), TOKEN_IDS: (tokens,), OFFSETS: (tokens, 2)}
    for name, array in arrays.items():
        if array.dtype not in TYPES or array.shape != shapes[name]:
            raise InvalidInput(
                f"{name} is {array.dtype} {array.shape}; it must be whole numbers {shapes[name]}", field=name
            )


def _positions(gaps: Array | None, first: int, tokens: int) -> Array:
    if gaps is None:
        return _int32(POSITIONS, first + np.arange(tokens, dtype=np.int64))
    return _int32(POSITIONS, first + np.concatenate([[0], np.cumsum(gaps, dtype=np.int64)]))


def _relative(offsets: Array) -> Array:
    """Spans as the distance of their start from the previous end, and their length."""
    ends = np.concatenate([[0], offsets[:-1, 1]])
    return np.stack([offsets[:, 0] - ends, offsets[:, 1] - offsets[:, 0]], axis=1)


def _absolute(spans: Array) -> Array:
    return np.cumsum(spans.reshape(-1), dtype=np.int64).reshape(-1, 2)


def _smallest(name: str, array: Array) -> Array:
    for dtype in TYPES:
        limits = np.iinfo(dtype)
        if limits.min <= array.min() and array.max() <= limits.max:
            return array.astype(dtype)
    raise InvalidInput(f"{name} holds numbers beyond 32 bits", field=name)


def _int32(name: str, array: Array) -> Array:
    limits = np.iinfo(np.int32)
    if len(array) and not limits.min <= array.min() <= array.max() <= limits.max:
        raise InvalidInput(f"{name} holds numbers beyond 32 bits", field=name)
    return array.astype(np.int32)
