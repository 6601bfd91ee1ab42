"""Quantise and dequantise a cache's vectors without RoPE, in tiles of tokens: bounded memory, few compiled shapes.

Gains are quantised on a logarithmic scale, with one range per layer and head; symbol 0 is a zero vector.
"""

import numpy as np

from kvcache.coding.encoded import Span
from kvcache.kernels import rotary
from kvcache.kernels.hadamard import rotation
from kvcache.kernels.quantise import dequantise, quantise, tables
from kvcache.kernels.tiles import bucket, padded
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import SnapshotFrame
from latentmas.protocol.tensors import Array

TILE = 256  # tokens; a tile of a small model stays in the processor's cache
MAX_OCTAVES = 24.0  # a vector this far below the largest of its head becomes zero
MAX_EXPONENT = 40.0  # limit of a gain's base-2 logarithm; float16 values reach 16
SILENT = -64.0  # the range's ends where a head has only zeros


def plain_vectors(array: Array, frame: SnapshotFrame, *, rotated: bool) -> Array:
    """Return an array `[layers, tokens, heads, dim]` as float32, with RoPE removed where it is `rotated`."""
    if not rotated:
        return array.astype(np.float32)
    plain = np.empty(array.shape, np.float32)
    for start in range(0, frame.tokens, TILE):
        part = slice(start, start + TILE)
        plain[:, part] = rotary.rotated(array[:, part], frame.positions[part], geometry=frame.geometry, inverse=True)
    return plain


def mean_vectors(vectors: Array, spans: list[Span]) -> Array:
    """Return the mean `[layers, heads, dim]` over each layer's span, rounded to float16; 0 for an empty span."""
    mean = np.zeros_like(vectors[:, 0])
    for layer, (first, last) in enumerate(spans):
        if first < last:
            mean[layer] = vectors[layer, first:last].mean(axis=0)
    return mean.astype(np.float16)


def quantise_vectors(vectors: Array, mean: Array, bits: tuple[int, ...]) -> tuple[Array, Array]:
    """Return indices `[layers, tokens, heads, dim]` uint8 and gains `[layers, tokens, heads]` float32."""
    turn, constants = rotation(vectors.shape[-1]), tables(bits)
    centre = mean.astype(np.float32)[:, None]
    indices, gains = np.empty(vectors.shape, np.uint8), np.empty(vectors.shape[:-1], np.float32)
    for start in range(0, vectors.shape[1], TILE):
        part = slice(start, start + TILE)
        tile = vectors[:, part] - centre
        tokens = tile.shape[1]
        found, scale = quantise(_padded(tile, 1), turn, *constants)
        indices[:, part], gains[:, part] = np.asarray(found)[:, :tokens], np.asarray(scale)[:, :tokens]
    return indices, gains


def dequantise_vectors(
    indices: Array, gains: Array, mean: Array, bits: tuple[int, ...], frame: SnapshotFrame, *, rotated: bool
) -> Array:
    """Return the vectors `[layers, tokens, heads, dim]` float32, with RoPE applied where they are to be `rotated`."""
    turn, levels = rotation(indices.shape[-1]), tables(bits)[0]
    frequency = rotary.frequencies_of(frame.geometry) if rotated else np.zeros((len(bits), 0), np.float32)
    vectors = np.empty(indices.shape, np.float32)
    for start in range(0, indices.shape[1], TILE):
        part = slice(start, start + TILE)
        tile, scale, positions = _padded(indices[:, part], 1), _padded(gains[:, part], 1), frame.positions[part]
        tokens = len(positions)
        made = dequantise(tile, scale, turn, levels, mean.astype(np.float32), _padded(positions, 0), frequency)
        vectors[:, part] = np.asarray(made)[:, :tokens]
    return vectors


def quantise_gains(gains: Array, *, size: int) -> tuple[Array, Array]:
    """Return symbols below `size` for gains `[layers, tokens, heads]`, and the ranges `[layers, heads, 2]`, float16.

    A range is the least and the largest base-2 logarithm.
    """
    exponents = np.full(gains.shape, -np.inf)
    np.log2(gains, out=exponents, where=gains > 0, dtype=np.float64)
    largest = exponents.max(axis=1, initial=SILENT)
    heard = exponents >= largest[:, None] - MAX_OCTAVES
    least = np.where(heard, exponents, np.inf).min(axis=1, initial=np.inf)
    ranges = np.stack([np.minimum(least, largest), largest], axis=-1).astype(np.float16)
    low, step = _scale(ranges, size)
    nearest = np.rint((np.where(heard, exponents, 0) - low[:, None]) / step[:, None])
    symbols = np.where(heard, 1 + np.clip(nearest, 0, size - 2), 0)
    return symbols.astype(np.uint8), ranges


def dequantise_gains(symbols: Array, ranges: Array, *, size: int) -> Array:
    """Return the gains `[layers, tokens, heads]`, float32. Raises InvalidInput for impossible ranges."""
    if np.abs(ranges).max() > -SILENT or ranges[..., 1].max() > MAX_EXPONENT or (ranges[..., 0] > ranges[..., 1]).any():
        raise InvalidInput(f"the ranges of the gains must ascend and lie between {SILENT} and {MAX_EXPONENT}")
    low, step = _scale(ranges, size)
    steps = symbols.astype(np.float32) - 1
    return np.where(symbols > 0, np.exp2(low[:, None] + steps * step[:, None]), 0).astype(np.float32)


def _padded(array: Array, axis: int) -> Array:
    return padded(array, bucket(array.shape[axis]), axis=axis)


def _scale(ranges: Array, size: int) -> tuple[Array, Array]:
    """Return the logarithm at symbol 1 and the step between symbols, `[layers, heads]`; the step is never 0."""
    low, high = ranges[..., 0].astype(np.float32), ranges[..., 1].astype(np.float32)
    return low, np.maximum(high - low, np.float32(2.0**-10)) / np.float32(size - 2)
