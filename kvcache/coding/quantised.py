"""The coding that needs no profile: vectors rotated, quantised to Lloyd-Max levels and range-coded.

A vector is one token's key or value in one head. RoPE is removed from keys, the snapshot's mean subtracted, the rest
rotated (`kvcache.kernels.hadamard`) and quantised. The first token, which models use as an attention sink and whose
entries are far larger than all others, stays float16. Symbols decode exactly on every machine; the numbers made from
them may differ between machines in float32 rounding.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from kvcache.coding import entropy
from kvcache.coding.bit_allocation import SINKS, Allocation, allocate, parse_allocation
from kvcache.coding.encoded import LARGEST, Encoded, Span, fits_float16, gather, require_sections, scatter, tokens_in
from kvcache.coding.quantised_vectors import (
    dequantise_gains,
    dequantise_vectors,
    mean_vectors,
    plain_vectors,
    quantise_gains,
    quantise_vectors,
)
from kvcache.kernels import lloyd_max
from latentmas.protocol.canonical import plain
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array

CODING: Final = "quantised"
FREQUENCY_LIMIT = (1 << 16) - 1


def encode(
    snapshot: KVSnapshot,
    *,
    bits: int = 4,
    key_bits: int | None = None,
    value_bits: int | None = None,
    finer: int = 1,
    sinks: int = SINKS,
) -> Encoded:
    """Return a snapshot coded with `bits` (2 to 8) per number; the first and the last layer get `finer` bits more.

    `key_bits` and `value_bits` override `bits` for their side. Raises InvalidInput, also for numbers beyond the range
    of float16.
    """
    allocation = allocate(
        snapshot.frame,
        key_bits=bits if key_bits is None else key_bits,
        value_bits=bits if value_bits is None else value_bits,
        finer=finer,
        sinks=sinks,
    )
    for name, array in (("keys", snapshot.keys), ("values", snapshot.values)):
        if not fits_float16(array):
            raise InvalidInput(f"{name} hold numbers beyond {LARGEST:.0f}, which float16 has not", field=name)
    exact, coded = allocation.spans(snapshot.frame)
    sections = {}
    if tokens_in(exact):
        both = [gather(array, exact).astype(np.float16) for array in (snapshot.keys, snapshot.values)]
        sections["exact"] = np.concatenate(both)
    if tokens_in(coded):
        sections |= _encode_vectors(snapshot, allocation, coded)
    document: Any = plain(allocation)
    return Encoded(CODING, document, sections)


def decode(encoded: Encoded, frame: SnapshotFrame, *, profile: Any = None) -> tuple[Array, Array]:
    """Return keys, rotated at their positions, and values, float32. Raises InvalidInput; needs no profile."""
    del profile
    allocation = parse_allocation(encoded.parameters, frame)
    exact, coded = allocation.spans(frame)
    require_sections(encoded, _wanted(frame.geometry, allocation, exact, coded))
    arrays = _decode_vectors(encoded.sections, frame, allocation, coded)
    start = 0
    for array in arrays:
        size = tokens_in(exact) * array.shape[2] * array.shape[3]
        if size:
            scatter(encoded.sections["exact"][start : start + size], exact, array)
        start += size
    return arrays[0], arrays[1]


def _encode_vectors(snapshot: KVSnapshot, allocation: Allocation, coded: list[Span]) -> dict[str, Array]:
    runs: list[tuple[Array, entropy.Table]] = []
    all_gains, all_ranges, all_means = [], [], []
    for array, bits in ((snapshot.keys, allocation.key_bits), (snapshot.values, allocation.value_bits)):
        vectors = plain_vectors(array, snapshot.frame, rotated=array is snapshot.keys)
        mean = mean_vectors(vectors, coded if allocation.centred else [(0, 0)] * len(bits))
        indices, gains = quantise_vectors(vectors, mean, bits)
        for layer, (first, last) in enumerate(coded):
            runs.append((indices[layer, first:last].reshape(-1), lloyd_max.frequencies(bits[layer])))
            gains[layer, :first] = 0  # not coded, so it must not widen the range
        symbols, ranges = quantise_gains(gains, size=allocation.gain_symbols)
        all_gains.append(gather(symbols, coded))
        all_ranges.append(ranges)
        all_means.append(mean.reshape(-1))
    symbols = np.concatenate(all_gains)
    frequencies = _frequencies(symbols, allocation.gain_symbols)
    sections = {
        "code": entropy.encode_runs([*runs, (symbols, frequencies)]),
        "gain_frequencies": frequencies,
        "gain_ranges": np.stack(all_ranges),
    }
    return sections | ({"mean": np.concatenate(all_means)} if allocation.centred else {})


def _decode_vectors(
    sections: dict[str, Array], frame: SnapshotFrame, allocation: Allocation, coded: list[Span]
) -> list[Array]:
    """Return keys and values, with zeros where nothing is coded."""
    geometry, tokens = frame.geometry, tokens_in(coded)
    shapes = [(geometry.layers, frame.tokens, geometry.heads, dim) for dim in (geometry.head_dim, geometry.value_width)]
    if not tokens:
        return [np.zeros(shape, np.float32) for shape in shapes]
    sides = list(zip(shapes, (allocation.key_bits, allocation.value_bits), (True, False), strict=True))
    wanted = [
        ((last - first) * shape[2] * shape[3], lloyd_max.frequencies(bits[layer]))
        for shape, bits, _ in sides
        for layer, (first, last) in enumerate(coded)
    ]
    wanted.append((2 * tokens * geometry.heads, sections["gain_frequencies"]))
    *runs, all_gains = entropy.decode_runs(sections["code"], wanted)
    arrays, means = [], _means(sections, shapes)
    for side, (shape, bits, rotated) in enumerate(sides):
        indices, symbols = np.zeros(shape, np.uint8), np.zeros(shape[:3], np.uint8)
        for layer, (first, last) in enumerate(coded):
            run = runs[side * geometry.layers + layer]
            indices[layer, first:last] = run.reshape(-1, *shape[2:])
        half = tokens * geometry.heads
        scatter(all_gains[side * half : (side + 1) * half], coded, symbols)
        gains = dequantise_gains(symbols, sections["gain_ranges"][side], size=allocation.gain_symbols)
        array = dequantise_vectors(indices, gains, means[side], bits, frame, rotated=rotated)
        for layer, (first, _) in enumerate(coded):
            array[layer, :first] = 0
        arrays.append(array)
    return arrays


def _means(sections: dict[str, Array], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    parts = [(shape[0], *shape[2:]) for shape in shapes]
    if "mean" not in sections:
        return [np.zeros(part, np.float32) for part in parts]
    split = int(np.prod(parts[0]))
    return [flat.reshape(part) for flat, part in zip(np.split(sections["mean"], [split]), parts, strict=True)]


def _frequencies(symbols: Array, size: int) -> Array:
    """Return how often each symbol occurs, uint16; at least two are above 0, as a table requires."""
    counts = np.maximum(np.bincount(symbols, minlength=size), np.arange(size) < 2)
    return np.asarray(np.ceil(counts * (FREQUENCY_LIMIT / counts.max())), np.uint16)


def _wanted(
    geometry: KVGeometry, allocation: Allocation, exact: list[Span], coded: list[Span]
) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    wanted: dict[str, tuple[str, tuple[int | None, ...]]] = {}
    if tokens_in(exact):
        wanted["exact"] = ("float16", (tokens_in(exact) * geometry.layer_width,))
    if tokens_in(coded):
        wanted["code"] = ("int32", (None,))
        wanted["gain_frequencies"] = ("uint16", (allocation.gain_symbols,))
        wanted["gain_ranges"] = ("float16", (2, geometry.layers, geometry.heads, 2))
        if allocation.centred:
            wanted["mean"] = ("float16", (geometry.width,))
    return wanted
