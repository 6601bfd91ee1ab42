"""Ratio and quality of every arm on a group of documents, with intervals over its windows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.compression.arms import Arm
from benchmarks.compression.cases import Case, Score, read_case, score
from benchmarks.intervals import mean_interval
from factory.codec.windows import Window
from factory.measurement.metrics import retention
from factory.runners.model import RunningModel
from latentmas.protocol.errors import InvalidInput

SNAPSHOTS = (1, 10, 1000)  # that share one download of a profile
LEAST_DOCUMENTS = 3  # of which a bootstrap over documents says anything


@dataclass(frozen=True, slots=True)
class Bounds:
    """Mean NLLs of one document's continuation, between which an arm's lies."""

    own: float
    nothing: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What an arm did to one document."""

    arm: str
    raw: int  # bytes at float16
    size: int
    encode_ms: float | None
    decode_ms: float | None
    score: Score


def read_group(
    model: RunningModel, windows: Sequence[Window], arms: Sequence[Arm]
) -> tuple[list[Bounds], list[Reading]]:
    """Return each document's bounds, and every arm's readings but those that the method refused."""
    bounds: list[Bounds] = []
    readings: list[Reading] = []
    for window in windows:
        case = read_case(model, window)
        bounds.append(Bounds(case.own_nll, case.nothing_nll))
        readings += [reading for arm in arms for reading in _read(model, case, arm)]
    return bounds, readings


def _read(model: RunningModel, case: Case, arm: Arm) -> Iterator[Reading]:
    made = arm.run(case.context)
    if made is not None:
        found = score(model, case, made.restored)
        raw = case.context.snapshot.frame.raw_bytes
        yield Reading(arm.name, raw, made.size, made.encode_ms, made.decode_ms, found)


def arm_rows(
    arms: Sequence[Arm], bounds: Sequence[Bounds], readings: Sequence[Reading], profile_size: int
) -> list[dict[str, object]]:
    """Return one row an arm: ratio of all bytes, means of quality with their intervals, medians of time."""
    return [_row(arm, bounds, [each for each in readings if each.arm == arm.name], profile_size) for arm in arms]


def _row(arm: Arm, bounds: Sequence[Bounds], mine: Sequence[Reading], profile_size: int) -> dict[str, object]:
    row: dict[str, object] = {"arm": arm.name, "documents": len(mine)}
    if not mine:
        return row
    raw, size = np.array([each.raw for each in mine]), np.array([each.size for each in mine])
    row |= {
        "ratio": float(raw.sum() / size.sum()),
        "KL": mean_interval([each.score.kl for each in mine]),
        "worst KL": float(max(each.score.kl for each in mine)),
        "top-1": mean_interval([each.score.top1 for each in mine]),
        "retention": _retention(bounds, mine),
        "encode ms": _median([each.encode_ms for each in mine]),
        "decode ms": _median([each.decode_ms for each in mine]),
    }
    if arm.with_profile:
        row |= {f"x{n}": float(raw.mean() / (size.mean() + profile_size / n)) for n in SNAPSHOTS}
    return row


def _retention(bounds: Sequence[Bounds], mine: Sequence[Reading]) -> float | None:
    if len(mine) < max(LEAST_DOCUMENTS, len(bounds)):
        return None
    nothing, own = np.array([each.nothing for each in bounds]), np.array([each.own for each in bounds])
    try:
        return retention(np.array([each.score.nll for each in mine]), nothing=nothing, own=own).value
    except InvalidInput:  # the context does not help here
        return None


def _median(times: Sequence[float | None]) -> float | None:
    known = [each for each in times if each is not None]
    return float(np.median(known)) if known else None
