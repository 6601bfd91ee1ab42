"""The 8-bit form of a W-Matrix: encoder and decoder as int8, one scale for every BLOCK entries of the wide side.

Directions are concentrated in few heads, so with one scale for a whole column small entries would round to zero; one
for 64 entries, which is a head or a part of one, takes hardly any bytes.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from latentmas.protocol.tensors import Array

BLOCK: Final = 64
LARGEST: Final = 127
MATRICES: Final = ("encoder", "decoder")


def scales_of(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the shape of a matrix's scales: encoder `[ds, du]` in blocks of ds, decoder `[du, dt]` in blocks of dt.

    The wide side is the larger one; where both are alike it is the first.
    """
    rows, columns = shape
    return (_blocks(rows), columns) if rows >= columns else (rows, _blocks(columns))


def to_eight_bit(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return a W-Matrix's arrays with encoder and decoder as int8 beside their scales (float16)."""
    small = dict(arrays)
    for name in MATRICES:
        matrix = np.asarray(arrays[name], np.float32)
        axis = _axis(matrix.shape)
        blocks = _in_blocks(matrix, axis)
        scale = np.abs(blocks).max(axis=axis + 1) / LARGEST
        # Rounded up, so that the largest entry still fits; never zero, which a block of zeros would give.
        scale = np.maximum(np.nextafter(scale.astype(np.float16), np.float16(np.inf)), np.finfo(np.float16).tiny)
        steps = np.rint(blocks / np.expand_dims(scale.astype(np.float32), axis + 1))
        small[name] = _joined(steps, axis, matrix.shape).astype(np.int8)
        small[f"{name}_scale"] = scale
    return small


def from_eight_bit(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return a W-Matrix's arrays with encoder and decoder as float32, without scales; others are as they are."""
    scales = {f"{name}_scale" for name in MATRICES}
    kept = {name: array for name, array in arrays.items() if name not in scales}
    return kept | {name: matrix_of(arrays, name) for name in MATRICES}


def matrix_of(arrays: Mapping[str, Array], name: str) -> Array:
    """Return the encoder or the decoder as float32, dequantised where it is stored as int8."""
    matrix = np.asarray(arrays[name], np.float32)
    if arrays[name].dtype != np.int8:
        return matrix
    axis = _axis(matrix.shape)
    scale = arrays[f"{name}_scale"].astype(np.float32)
    return _joined(_in_blocks(matrix, axis) * np.expand_dims(scale, axis + 1), axis, matrix.shape)


def _axis(shape: tuple[int, ...]) -> int:
    return 0 if shape[0] >= shape[1] else 1


def _blocks(size: int) -> int:
    return -(-size // BLOCK)


def _in_blocks(matrix: Array, axis: int) -> Array:
    """Return `[blocks, BLOCK, columns]` or `[rows, blocks, BLOCK]`, padded with zeros."""
    missing = -matrix.shape[axis] % BLOCK
    padded = np.pad(matrix, ((0, missing), (0, 0)) if axis == 0 else ((0, 0), (0, missing)))
    shape = (-1, BLOCK, matrix.shape[1]) if axis == 0 else (matrix.shape[0], -1, BLOCK)
    return padded.reshape(shape)


def _joined(blocks: Array, axis: int, shape: tuple[int, ...]) -> Array:
    rows, columns = shape
    joined = blocks.reshape(-1, columns) if axis == 0 else blocks.reshape(rows, -1)
    return joined[:rows, :columns]
