"""Published schemes, written again from their papers, with the bytes they really take; their times mean nothing.

KIVI (arXiv 2402.02750) and CacheGen (arXiv 2310.07240) code keys with RoPE applied, as caches hold them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import constriction
import numpy as np
import zstandard

from benchmarks.compression.arms import Arm, Outcome
from benchmarks.compression.cases import Context
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

KIVI_BITS, KIVI_GROUP, KIVI_RESIDUAL = 2, 32, 128
ANCHOR_EVERY, ANCHOR_BINS = 10, 256
# Bins of the published configuration for 32 layers, spread over the depth: keys finer in the first third, values in
# the first two layers.
KEY_BINS, VALUE_BINS = ((1 / 3, 32), (1.0, 16)), ((2 / 32, 32), (1.0, 16))


def peer_arms(tables: "CacheGenTables") -> list[Arm]:
    """Return the schemes that can be written here."""
    return [
        Arm("KIVI 2 bit", kivi),
        Arm("CacheGen", lambda context: cachegen(context, tables)),
        Arm("float16 + zstd", zstd),
    ]


def zstd(context: Context) -> Outcome:
    """Halve the precision and compress losslessly; the ratio is against float16 without zstd."""
    halves = [array.astype(np.float16) for array in (context.snapshot.keys, context.snapshot.values)]
    size = sum(len(zstandard.compress(part.tobytes())) for array in halves for part in _held(array, context.snapshot))
    return Outcome(size, KVSnapshot(context.snapshot.frame, *halves))


def kivi(context: Context) -> Outcome:
    """Keys per channel in groups of 32 tokens, values per token in groups of 32 channels; the last tokens float16."""
    snapshot, size = context.snapshot, 0
    keys, values = snapshot.keys.astype(np.float32), snapshot.values.astype(np.float32)
    for layer, start in enumerate(snapshot.frame.starts):
        tokens = snapshot.frame.tokens - start
        # Keys wait for a full block; values leave the window one by one.
        for array, left, axis in ((keys, tokens % KIVI_RESIDUAL, 0), (values, min(tokens, KIVI_RESIDUAL), 2)):
            coded = array[layer, start : snapshot.frame.tokens - left]
            size += _grouped(coded, axis) + left * array[0, 0].size * 2
    return Outcome(size, KVSnapshot(snapshot.frame, keys, values))


def _grouped(array: Array, axis: int) -> int:
    """Quantise an array in place, between the least and the largest of each group; return its bytes."""
    if not array.size:
        return 0
    moved = np.moveaxis(array, axis, -1)
    groups = moved.reshape(*moved.shape[:-1], -1, KIVI_GROUP)
    least = groups.min(-1, keepdims=True).astype(np.float16).astype(np.float32)
    span = (groups.max(-1, keepdims=True) - least).astype(np.float16).astype(np.float32)
    step = np.maximum(span, np.float32(1e-6)) / (2**KIVI_BITS - 1)
    levels = np.clip(np.round((groups - least) / step), 0, 2**KIVI_BITS - 1)
    moved[...] = (levels * step + least).reshape(moved.shape)
    packed = np.packbits(np.unpackbits(levels.astype(np.uint8)[..., None], axis=-1)[..., -KIVI_BITS:])
    return packed.nbytes + 2 * 2 * least.size


@dataclass(frozen=True, slots=True)
class CacheGenTables:
    """Frequencies of the deltas' symbols, of each layer and channel, and of the anchors', of each layer; float64."""

    deltas: tuple[Array, Array]  # of keys and of values: [layers, channels, symbols]
    anchors: tuple[Array, Array]  # [layers, symbols]


def cachegen_tables(snapshots: Sequence[KVSnapshot]) -> CacheGenTables:
    """Count the symbols of other snapshots, as the paper profiles them once per model."""
    deltas: list[Array] = []
    anchors: list[Array] = []
    for side, name in enumerate(("keys", "values")):
        shape = getattr(snapshots[0], name).shape
        counts = np.full((shape[0], shape[2] * shape[3], max(bins for _, bins in (*KEY_BINS, *VALUE_BINS))), 0.02)
        firsts = np.full((shape[0], ANCHOR_BINS), 0.02)
        for snapshot in snapshots:
            for layer, part in enumerate(_held(getattr(snapshot, name), snapshot)):
                coded = _delta_coded(part, _bins(side, layer, shape[0]))
                for channel, symbols in enumerate(coded.deltas.T):
                    counts[layer, channel] += np.bincount(symbols, minlength=counts.shape[2])
                firsts[layer] += np.bincount(coded.anchors.reshape(-1), minlength=ANCHOR_BINS)
        deltas.append(counts)
        anchors.append(firsts)
    return CacheGenTables((deltas[0], deltas[1]), (anchors[0], anchors[1]))


def cachegen(context: Context, tables: CacheGenTables) -> Outcome:
    """Every tenth token at 8 bit, the others as differences from it in few bins, arithmetic-coded per channel."""
    snapshot = context.snapshot
    coder, scales = constriction.stream.queue.RangeEncoder(), 0
    restored = [np.zeros_like(snapshot.keys, np.float32), np.zeros_like(snapshot.values, np.float32)]
    for side, array in enumerate((snapshot.keys, snapshot.values)):
        for layer, part in enumerate(_held(array, snapshot)):
            bins = _bins(side, layer, len(array))
            coded = _delta_coded(part, bins)
            _code(coder, coded.anchors, tables.anchors[side][layer])
            for channel, symbols in enumerate(coded.deltas.T):
                _code(coder, symbols, tables.deltas[side][layer, channel, :bins])
            restored[side][layer, snapshot.frame.starts[layer] :] = coded.restored.reshape(part.shape)
            scales += 2 * len(part)  # one float16 a token
    return Outcome(coder.get_compressed().nbytes + scales, KVSnapshot(snapshot.frame, restored[0], restored[1]))


def _code(coder: "constriction.stream.queue.RangeEncoder", symbols: Array, frequencies: Array) -> None:
    model = constriction.stream.model.Categorical(frequencies / frequencies.sum(), perfect=False)
    coder.encode(symbols.reshape(-1).astype(np.int32), model)


@dataclass(frozen=True, slots=True)
class _DeltaCoded:
    anchors: Array  # [groups, channels]
    deltas: Array  # [other tokens, channels]
    restored: Array  # [tokens, channels]


def _delta_coded(part: Array, bins: int) -> _DeltaCoded:
    rows = part.reshape(len(part), -1).astype(np.float32)
    first = np.arange(len(rows)) // ANCHOR_EVERY * ANCHOR_EVERY
    is_anchor = first == np.arange(len(rows))
    anchors, restored = _by_vector(rows[is_anchor], ANCHOR_BINS)
    made = np.empty_like(rows)
    made[is_anchor] = restored
    base = made[first[~is_anchor]]
    deltas, differences = _by_vector(rows[~is_anchor] - base, bins)
    made[~is_anchor] = base + differences
    return _DeltaCoded(anchors, deltas, made)


def _by_vector(rows: Array, bins: int) -> tuple[Array, Array]:
    """Return the symbols of rows, each scaled by its largest magnitude, and what they stand for."""
    most = bins // 2 - 1
    largest = np.abs(rows).max(-1, keepdims=True).astype(np.float16).astype(np.float32)
    step = np.maximum(largest, np.float32(1e-6)) / most
    levels = np.clip(np.round(rows / step), -most, most)
    return (levels + most).astype(np.int64), levels * step


def _bins(side: int, layer: int, layers: int) -> int:
    return next(bins for share, bins in (KEY_BINS, VALUE_BINS)[side] if layer < share * layers)


def _held(array: Array, snapshot: KVSnapshot) -> Iterator[Array]:
    """Yield what each layer holds, `[tokens, heads, dim]`."""
    for layer, start in enumerate(snapshot.frame.starts):
        yield array[layer, start:]
