"""A file of vectors: a safetensors file with the tensor `vectors` `[count, width]`, and the model that they are of."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array, TensorFile, numbers

KIND = "vectors"  # and the name of the tensor
VERSION = 1
MAX_BYTES = 64 << 30


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors `[count, width]`, float32; `model` and `weights` where the file names them."""

    array: Array
    model: str | None = None
    weights: str | None = None


def write_vectors(array: Array, *, model: str | None = None, weights: str | None = None) -> bytes:
    """Return the file; the same vectors give the same bytes."""
    document: dict[str, Any] = {"kind": KIND, "version": VERSION}
    document |= {name: value for name, value in (("model", model), ("weights", weights)) if value is not None}
    file = BytesIO()
    tensors.write(file, {KIND: array}, document)
    return file.getvalue()


def read_vectors(file: Path | bytes | TensorFile, *, max_bytes: int = MAX_BYTES, field: str = "body") -> Vectors:
    """Return the vectors in a file. Raises InvalidInput or TooLarge."""
    opened = tensors.open_tensors(file, max_bytes=max_bytes)
    if opened.document.get("kind") != KIND or set(opened.tensors) != {KIND}:
        raise InvalidInput(
            f"the file must say kind {KIND!r} and hold one tensor, {KIND!r}; it holds "
            f"{', '.join(sorted(opened.tensors)) or 'none'}",
            field=field,
        )
    named = {name: opened.document.get(name) for name in ("model", "weights")}
    for name, value in named.items():
        if value is not None and not isinstance(value, str):
            raise InvalidInput(f"the {name} in the file is no text", field=name)
    return Vectors(numbers(KIND, opened.read(KIND), rank=2), **named)
