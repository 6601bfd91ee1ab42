"""KVTC (arXiv 2511.01815), the nearest relative of the transform code, written from the paper's description.

Keys without RoPE, and values, of all layers and heads of a token are one vector each; each side has the principal
components of calibration contexts. Bits go to runs of components by dynamic programming (`bit_plans`), half of them to
either side, and what comes out is DEFLATEd. The first 4 and the most recent 128 tokens stay float16. The bases are
downloaded once, like a codec profile, and are not counted.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.compression import bit_plans
from benchmarks.compression.arms import Arm, Outcome
from benchmarks.compression.cases import Context
from factory.codec.windows import Window
from factory.runners.model import RunningModel
from kvcache.coding.coordinates import columns
from kvcache.rows import rows_in, unpack_rows
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array

SINKS, RECENT = 4, 128  # tokens left as they are
RANK = 4096  # components of each side that may be coded
SAMPLES = 512  # rows that the errors of the bit plans are measured on
DEFLATE_LEVEL = 9
# Nominal ratio of the coded tokens before DEFLATE, and the recent tokens left as they are. With the paper's 128, a
# context of 769 tokens cannot come below a ratio of 5.8.
ARMS = ((16.0, RECENT), (8.0, 0), (16.0, 0), (32.0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The principal components of keys, or of values: `(rows - mean) @ basis`."""

    mean: Array  # float32 [width]
    basis: Array  # float32 [width, rank]
    samples: Array  # float32 [rows, rank]: coefficients of calibration rows

    @property
    def deviations(self) -> Array:
        return np.maximum(self.samples.std(0), np.float32(1e-6))


def kvtc_arms(sides: tuple[Side, Side]) -> list[Arm]:
    """Return KVTC at several nominal ratios."""
    costs = [bit_plans.costs_of(side.samples, side.deviations) for side in sides]

    def arm(ratio: float, recent: int) -> Arm:
        plans = [
            bit_plans.plan(
                each, cells=side.basis.shape[1] // bit_plans.CELL, bits=int(bit_plans.FLOAT16 * len(side.mean) / ratio)
            )
            for side, each in zip(sides, costs, strict=True)
        ]
        exact = f"{SINKS} + {recent}" if recent else f"{SINKS}"
        return Arm(f"KVTC {ratio:g}x, {exact} tokens exact", lambda context: kvtc(context, sides, plans, recent=recent))

    return [arm(ratio, recent) for ratio, recent in ARMS]


def kvtc(
    context: Context, sides: tuple[Side, Side], plans: Sequence[Sequence[bit_plans.Run]], *, recent: int
) -> Outcome:
    """Code the tokens between the sinks and the most recent ones; what sliding layers dropped counts as average."""
    frame = context.snapshot.frame
    rows = rows_in(context.snapshot)
    coded = slice(SINKS, frame.tokens - recent)
    data = bytearray()
    for part, side, runs in zip(_parts(frame.geometry), sides, plans, strict=True):
        centred = np.where(_held(frame)[coded][:, part], rows[coded][:, part] - side.mean, np.float32(0))
        stream, restored = _coded(centred, side, runs)
        data += zlib.compress(stream, DEFLATE_LEVEL)
        rows[coded, part] = restored + side.mean
    exact = np.ones(frame.tokens, bool)
    exact[coded] = False
    keys, values = unpack_rows(rows, geometry=frame.geometry, positions=frame.positions)
    size = len(data) + 2 * int(_held(frame)[exact].sum())
    return Outcome(size, _halved(context.snapshot, keys, values, exact))


def _coded(centred: Array, side: Side, runs: Sequence[bit_plans.Run]) -> tuple[bytes, Array]:
    """Return one side's symbols, run after run, and the centred rows that they restore."""
    width = bit_plans.used(runs)
    coefficients, deviations = centred @ side.basis[:, :width], side.deviations
    restored, stream = np.zeros_like(coefficients), bytearray()
    for run in runs:
        part = slice(run.first, min(run.last, width))
        if run.kind != "dropped":
            made = bit_plans.code(coefficients[:, part], run.kind, deviations[part])
            stream += made.packed()
            restored[:, part] = made.restored
    return bytes(stream), restored @ side.basis[:, :width].T


def _halved(snapshot: KVSnapshot, keys: Array, values: Array, exact: Array) -> KVSnapshot:
    """Return the decoded arrays, with the exact tokens at float16 and nothing where a layer holds nothing."""
    for mine, own in ((keys, snapshot.keys), (values, snapshot.values)):
        mine[:, exact] = own[:, exact].astype(np.float16)
        for layer, start in enumerate(snapshot.frame.starts):
            mine[layer, :start] = 0
    return KVSnapshot(snapshot.frame, keys, values)


def _parts(geometry: KVGeometry) -> tuple[Array, Array]:
    """Return the columns of a row that are keys, and those that are values."""
    is_key = np.arange(geometry.width) % geometry.layer_width < geometry.heads * geometry.head_dim
    return np.flatnonzero(is_key), np.flatnonzero(~is_key)


def _held(frame: SnapshotFrame) -> Array:
    """Return the mask `[tokens, width]` of what the snapshot's layers hold."""
    held = np.zeros((frame.tokens, frame.geometry.width), bool)
    for layer, start in enumerate(frame.starts):
        held[start:, columns(frame.geometry, (layer,))] = True
    return held


def fitted_sides(model: RunningModel, windows: Sequence[Window], *, rank: int = RANK) -> tuple[Side, Side]:
    """Return the components of calibration windows, whose first tokens are left out as they are when coding."""
    parts = _parts(model.geometry)
    sums = [np.zeros(len(part)) for part in parts]
    products = [np.zeros((len(part), len(part)), np.float32) for part in parts]
    taken: list[Array] = []
    tokens, each = 0, max(1, SAMPLES // len(windows))
    for number, window in enumerate(windows):
        rows = model.capture(window.context)[SINKS:]
        taken.append(rows[np.random.default_rng(number).choice(len(rows), min(each, len(rows)), replace=False)])
        tokens += len(rows)
        for total, product, part in zip(sums, products, parts, strict=True):
            total += rows[:, part].sum(0, dtype=np.float64)
            product += rows[:, part].T @ rows[:, part]
    samples = np.concatenate(taken)
    found = []
    for total, product, part in zip(sums, products, parts, strict=True):
        mean = (total / tokens).astype(np.float32)
        _, vectors = np.linalg.eigh(product / tokens - np.outer(mean, mean))
        kept = min(rank, len(part)) // bit_plans.CELL * bit_plans.CELL
        basis = np.ascontiguousarray(vectors[:, ::-1][:, :kept])
        found.append(Side(mean, basis, (samples[:, part] - mean) @ basis))
    return found[0], found[1]


def kept_sides(model: RunningModel, windows: Callable[[], Sequence[Window]], path: Path) -> tuple[Side, Side]:
    """Return the sides kept in a file, fitted now on calibration windows where it is missing."""
    names = ("mean", "basis", "samples")
    if not path.exists():
        print(f"fitting KVTC's bases for {model.name} (minutes; kept as {path.name})", flush=True)
        sides = fitted_sides(model, windows())
        arrays = {f"{name}{number}": getattr(side, name) for number, side in enumerate(sides) for name in names}
        np.savez(path, **arrays)
    with np.load(path) as file:
        first, second = (Side(*(file[f"{name}{number}"] for name in names)) for number in range(2))
    return first, second
