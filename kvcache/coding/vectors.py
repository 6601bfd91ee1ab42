"""A cache's vectors without RoPE, quantised and back, in tiles of tokens: bounded memory, few compiled shapes."""

import numpy as np

from kvcache.coding.spans import Span
from kvcache.kernels import rotary
from kvcache.kernels.buckets import bucket
from kvcache.kernels.hadamard import rotation
from kvcache.kernels.quantise import dequantise, quantise, tables
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import SnapshotFrame
from latentmas.protocol.tensors import Array

TILE = 256  # tokens; a tile of a small model stays in the processor's cache


def plain_vectors(array: Array, frame: SnapshotFrame, *, rotated: bool) -> Array:
    """Return an array `[layers, tokens, heads, dim]` as float32, with RoPE removed where it is `rotated`."""
    if not rotated or not frame.geometry.rotary_dim:
        return array.astype(np.float32)
    frequency = _frequency(frame.geometry)
    plain = np.empty(array.shape, np.float32)
    for start in range(0, frame.tokens, TILE):
        part = slice(start, start + TILE)
        tile, positions = _padded(array[:, part].astype(np.float32), 1), _padded(frame.positions[part], 0)
        tokens = plain[:, part].shape[1]
        plain[:, part] = np.asarray(rotary.rotate(tile, positions, frequency, inverse=True))[:, :tokens]
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
    frequency = _frequency(frame.geometry) if rotated else np.zeros((len(bits), 0), np.float32)
    vectors = np.empty(indices.shape, np.float32)
    for start in range(0, indices.shape[1], TILE):
        part = slice(start, start + TILE)
        tile, scale, positions = _padded(indices[:, part], 1), _padded(gains[:, part], 1), frame.positions[part]
        tokens = len(positions)
        made = dequantise(tile, scale, turn, levels, mean.astype(np.float32), _padded(positions, 0), frequency)
        vectors[:, part] = np.asarray(made)[:, :tokens]
    return vectors


def _frequency(geometry: KVGeometry) -> Array:
    return np.stack([rotary.frequencies(theta, geometry.rotary_dim) for theta in geometry.thetas])


def _padded(array: Array, axis: int) -> Array:
    missing = bucket(array.shape[axis]) - array.shape[axis]
    if not missing:
        return np.ascontiguousarray(array)
    return np.pad(array, [(0, missing if number == axis else 0) for number in range(array.ndim)])
