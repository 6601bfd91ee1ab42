"""Measure a codec profile on its model: ratio, KL and top-1 agreement by step, on documents it was not fitted to.

The model's predictions along a continuation from the restored cache are compared with those from its own cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from factory.codec.windows import Window
from factory.progress import Progress
from factory.runners.model import RunningModel
from kvcache.coding import rate, transform, transform_decoding
from kvcache.coding.coordinates import Coordinates, coordinates
from kvcache.coding.profile import CurvePoint, OpenedProfile
from kvcache.rows import pack_rows, whole_snapshot
from latentmas.protocol.snapshot import KVSnapshot, needed
from latentmas.protocol.tensors import Array

RATIOS = (8.0, 14.0, 20.0, 28.0, 38.0, 52.0)  # bytes over bytes, at which the curve is measured


@dataclass(frozen=True, slots=True)
class MeasuredCurve:
    """The curve, and the highest ratio of KL to distortion on any window at any step."""

    curve: tuple[CurvePoint, ...]
    kl_per_distortion: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Means over the continuation's positions; `kl` in nats, from the model's own cache to the restored one."""

    kl: float
    top1: float


@dataclass(frozen=True, slots=True)
class _Reading:
    step: int
    ratio: float
    kl: float
    top1: float
    distortion: float


def measure(
    windows: Sequence[Window], model: RunningModel, profile: OpenedProfile, *, progress: Progress
) -> MeasuredCurve:
    """Return ratio, KL, top-1 agreement and distortion at each of RATIOS, as means over the windows."""
    readings: list[list[_Reading]] = []
    for number, window in enumerate(windows):
        progress(number, len(windows))
        readings.append(list(_read(window, model, profile)))
    progress(len(windows), len(windows))
    curve = tuple(_mean(at_ratio) for at_ratio in zip(*readings, strict=True))
    worst = max(each.kl / each.distortion for window in readings for each in window)
    return MeasuredCurve(curve, worst)


def snapshot_of(rows: Array, model: RunningModel) -> KVSnapshot:
    """Return the snapshot of rows that begin at position 0, without the entries that sliding windows have dropped."""
    left, _ = needed(whole_snapshot(rows, geometry=model.geometry, model=model.name, weights=model.weights))
    return left


def reference(model: RunningModel, rows: Array, window: Window) -> Array:
    """Return the log-probabilities `[tokens, vocabulary]` along the continuation, read after rows at 0, 1, 2 ..."""
    return model.log_probabilities(model.cache_of(rows), window.continuation, first_position=len(rows))


def agreement(own: Array, restored: Array) -> Agreement:
    """Return the agreement of two sets of log-probabilities, `own` being those of the full cache."""
    kl = (np.exp(own) * (own - restored)).sum(-1, dtype=np.float64)
    return Agreement(kl=float(kl.mean()), top1=float((own.argmax(-1) == restored.argmax(-1)).mean()))


def _read(window: Window, model: RunningModel, profile: OpenedProfile) -> Iterator[_Reading]:
    rows = model.capture(window.context)
    own = reference(model, rows, window)
    found = coordinates(snapshot_of(rows, model), profile=profile)
    for ratio in RATIOS:
        step = rate.step_for_bytes(found, size=int(found.frame.raw_bytes / ratio))
        restored, size = _restored(found, step)
        agreed = agreement(own, reference(model, restored, window))
        yield _Reading(
            step=step,
            ratio=found.frame.raw_bytes / size,
            kl=agreed.kl,
            top1=agreed.top1,
            distortion=rate.distortion(found, step=step),
        )


def _restored(found: Coordinates, step: int) -> tuple[Array, int]:
    encoded = transform.encode_coordinates(found, step=step)
    keys, values = transform_decoding.decode(encoded, found.frame, profile=found.profile)
    rows = pack_rows(keys, values, geometry=found.frame.geometry, positions=found.frame.positions)
    return rows, encoded.size


def _mean(readings: Sequence[_Reading]) -> CurvePoint:
    mean = {name: float(np.mean([getattr(each, name) for each in readings])) for name in _Reading.__dataclass_fields__}
    return CurvePoint(round(mean["step"]), mean["ratio"], mean["kl"], mean["top1"], mean["distortion"])
