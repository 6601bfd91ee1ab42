"""Files inside a file: a whole file as one tensor of bytes."""

import numpy as np

from latentmas.protocol.tensors import Array, TensorFile


def as_tensor(data: bytes) -> Array:
    """Return a file as a tensor `[bytes]`."""
    return np.frombuffer(data, dtype=np.uint8)


def from_tensor(file: TensorFile, name: str) -> bytes:
    """Return the file that a tensor is."""
    return file.read(name).tobytes()
