"""Safetensors files with exactly one metadata key, `latentmas`, that holds a document as canonical JSON.

Several metadata keys would be written in varying order and change the digest. Reading checks the header against the
file's size before anything large is allocated, and never trusts a length it has not checked.
"""

import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np

from latentmas.protocol.canonical import canonical
from latentmas.protocol.errors import InvalidInput, TooLarge

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

METADATA_KEY: Final = "latentmas"
MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 256
LENGTH_BYTES = 8
ALIGNMENT = 8
DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
}
CODES: Final[Mapping[np.dtype[Any], str]] = {dtype: code for code, dtype in DTYPES.items()}
FINITE_CHECK_ELEMENTS = 1 << 22


@dataclass(frozen=True, slots=True)
class TensorInfo:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int  # byte offset in the file
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A checked header: the document and where each tensor lies. Nothing else has been read."""

    data: Array  # the file's bytes, uint8; memory-mapped where it lies on disk
    document: dict[str, Any]
    tensors: Mapping[str, TensorInfo]

    def read(self, name: str, *, first: int = 0, count: int | None = None) -> Array:
        """Return rows `first` to `first + count` of a tensor. Raises InvalidInput where it holds NaN or infinity."""
        info = self.tensors[name]
        mapped = self.data[info.start : info.start + info.size].view(info.dtype).reshape(info.shape)
        rows = np.array(mapped[first:] if count is None else mapped[first : first + count])
        require_finite(name, rows)
        return rows

    def let_go(self) -> None:
        """Give back the pages of a mapped file that were read, which count as memory of this process until then."""
        if isinstance(self.data.base, mmap.mmap):
            self.data.base.madvise(mmap.MADV_DONTNEED)


def write(file: BinaryIO, tensors: Mapping[str, Array], document: Mapping[str, Any]) -> None:
    """Write tensors and document; the same input gives the same bytes. Raises InvalidInput for unknown dtypes.

    Written straight from the arrays: the safetensors library would copy each of them twice, and packs are large.
    """
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: canonical(dict(document)).decode()}}
    # Wide types first, so that every tensor is aligned without gaps.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    end = 0
    for name, tensor in ordered:
        if tensor.dtype not in CODES:
            raise InvalidInput(f"the tensor {name!r} is {tensor.dtype}; allowed are {', '.join(DTYPES)}")
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": CODES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    encoded = canonical(header)
    encoded += b" " * (-len(encoded) % ALIGNMENT)
    file.write(len(encoded).to_bytes(LENGTH_BYTES, "little"))
    file.write(encoded)
    for _, tensor in ordered:
        file.write(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)


def open_tensors(file: Path | bytes | TensorFile, *, max_bytes: int) -> TensorFile:
    """Return the checked header of a file on disk or in memory; one that was checked before is returned as it is.

    Raises TooLarge or InvalidInput, before any large allocation.
    """
    match file:
        case TensorFile():
            _check_size(len(file.data), max_bytes)
            return file
        case bytes():
            return parse_tensors(file, max_bytes=max_bytes)
    size = file.stat().st_size
    _check_size(size, max_bytes)
    if not size:
        raise InvalidInput("the file is too short to be a safetensors file: it is empty")
    return _checked(np.memmap(file, dtype=np.uint8, mode="r"))


def parse_tensors(data: bytes | memoryview, *, max_bytes: int) -> TensorFile:
    """Return the checked header of a file that is in memory already. Raises TooLarge or InvalidInput."""
    _check_size(len(data), max_bytes)
    return _checked(np.frombuffer(data, dtype=np.uint8))


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLarge(f"the file has {size} bytes; the limit is {max_bytes}")


def _checked(data: Array) -> TensorFile:
    header, data_start = _read_header(data)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {METADATA_KEY} or not isinstance(metadata[METADATA_KEY], str):
        raise InvalidInput(f"the file's metadata must hold exactly one key, {METADATA_KEY!r}")
    document = _json_object(metadata[METADATA_KEY].encode(), "the document in the metadata")
    if len(header) > MAX_TENSORS:
        raise InvalidInput(f"the file holds {len(header)} tensors; the limit is {MAX_TENSORS}")
    tensors = {name: _tensor_info(name, entry, data_start) for name, entry in header.items()}
    _check_coverage(tensors, data_start, len(data))
    return TensorFile(data, document, tensors)


def require_finite(name: str, array: Array) -> None:
    """Raise InvalidInput where a floating-point array holds NaN or infinity."""
    if array.dtype.kind != "f":
        return
    flat = array.reshape(-1)
    for start in range(0, flat.size, FINITE_CHECK_ELEMENTS):
        if not np.isfinite(flat[start : start + FINITE_CHECK_ELEMENTS]).all():
            raise InvalidInput(f"the tensor {name!r} holds NaN or infinity", field=name)


def numbers(name: str, given: object, *, rank: int) -> Array:
    """Return a finite float32 array of that rank, with no empty axis. Raises InvalidInput naming the field."""
    try:
        array = np.asarray(given)
    except ValueError as error:  # rows of differing lengths
        raise InvalidInput(f"{name} has rows of differing lengths; it must be a {rank}-D array", field=name) from error
    if array.dtype.kind not in "fiu":
        raise InvalidInput(f"{name} holds {array.dtype}; it must hold numbers", field=name)
    if array.ndim != rank:
        raise InvalidInput(f"{name} has the shape {array.shape}; it must have rank {rank}", field=name)
    if not array.size:
        raise InvalidInput(f"{name} has the shape {array.shape}; it must hold at least one token", field=name)
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinity, which is refused below
        array = array.astype(np.float32)
    if not (finite := np.isfinite(array)).all():
        at = [int(index) for index in np.argwhere(~finite)[0]]
        raise InvalidInput(f"{name} holds {array[tuple(at)]} at {at}; every number must be finite", field=name)
    return array


def _read_header(data: Array) -> tuple[dict[str, Any], int]:
    """Return the header and the byte at which the tensors begin."""
    if len(data) < LENGTH_BYTES:
        raise InvalidInput("the file is too short to be a safetensors file")
    length = int.from_bytes(data[:LENGTH_BYTES].tobytes(), "little")
    if length > MAX_HEADER_BYTES:
        raise TooLarge(f"the header claims {length} bytes; the limit is {MAX_HEADER_BYTES}")
    if length > len(data) - LENGTH_BYTES:
        raise InvalidInput(f"the header claims {length} bytes, but the file has only {len(data)}")
    end = LENGTH_BYTES + length
    return _json_object(data[LENGTH_BYTES:end].tobytes(), "the header"), end


def _json_object(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} is not valid JSON") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{what} is not a JSON object")
    return value


def _tensor_info(name: str, entry: object, data_start: int) -> TensorInfo:
    match entry:
        case {"dtype": str(code), "shape": list(shape), "data_offsets": [int(start), int(end)]} if code in DTYPES:
            dtype = DTYPES[code]
        case {"dtype": str(code)} if code not in DTYPES:
            raise InvalidInput(f"the tensor {name!r} is {code}; allowed are {', '.join(DTYPES)}")
        case _:
            raise InvalidInput(f"the header's entry for the tensor {name!r} is malformed")
    if not shape or not all(type(extent) is int and 0 < extent < 1 << 32 for extent in shape):
        raise InvalidInput(f"the tensor {name!r} has the impossible shape {shape}")
    if start < 0 or end - start != math.prod(shape) * dtype.itemsize:
        raise InvalidInput(f"the tensor {name!r} has {end - start} bytes, which do not fit its shape {shape}")
    return TensorInfo(dtype, tuple(shape), data_start + start, end - start)


def _check_coverage(tensors: Mapping[str, TensorInfo], data_start: int, size: int) -> None:
    """Tensors must fill the file exactly: no gap to hide bytes in, no overlap, nothing missing at the end."""
    position = data_start
    for info in sorted(tensors.values(), key=lambda info: info.start):
        if info.start != position:
            raise InvalidInput("the tensors in the file overlap or leave a gap")
        position += info.size
    if position != size:
        raise InvalidInput(f"the tensors end at byte {position}, but the file has {size}")
