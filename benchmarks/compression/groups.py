"""Ratio and quality of every arm on a group of documents, and whether the quality bound is held there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.compression.arms import Arm, compressed
from benchmarks.compression.cases import Case, Score, read_case, score
from factory.codec.windows import Window
from factory.measurement.metrics import retention
from factory.runners.model import RunningModel
from kvcache.adapters import ModelAdapter
from kvcache.coding.profile import OpenedProfile
from kvcache.compression.plan import KLBound
from latentmas.protocol.errors import InvalidInput

BOUNDS = (0.01, 0.04)  # nats
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
    model: RunningModel, windows: Sequence[Window], arms: Sequence[Arm], bounded: Sequence[Arm]
) -> tuple[list[Bounds], list[Reading]]:
    """Return each document's bounds, and every arm's readings but those that the method refused."""
    bounds: list[Bounds] = []
    readings: list[Reading] = []
    for window in windows:
        case = read_case(model, window)
        bounds.append(Bounds(case.own_nll, case.nothing_nll))
        readings += [reading for arm in (*arms, *bounded) for reading in _read(model, case, arm)]
    return bounds, readings


def _read(model: RunningModel, case: Case, arm: Arm) -> Iterator[Reading]:
    made = arm.run(case.context)
    if made is not None:
        found = score(model, case, made.restored)
        raw = case.context.snapshot.frame.raw_bytes
        yield Reading(arm.name, raw, made.size, made.encode_ms, made.decode_ms, found)


def bound_arms(adapter: ModelAdapter, profile: OpenedProfile) -> list[Arm]:
    """Return the transform code asked for a bound on the KL instead of a size."""

    def arm(kl: float) -> Arm:
        return Arm(
            _bound_name(kl), lambda context: compressed(context, adapter, "transform", KLBound(kl), profile), True
        )

    return [arm(kl) for kl in BOUNDS]


def arm_rows(
    arms: Sequence[Arm], bounds: Sequence[Bounds], readings: Sequence[Reading], profile_size: int
) -> list[dict[str, object]]:
    """Return one row an arm: ratio of all bytes, means of quality, medians of time."""
    return [_row(arm, bounds, [each for each in readings if each.arm == arm.name], profile_size) for arm in arms]


def _row(arm: Arm, bounds: Sequence[Bounds], mine: Sequence[Reading], profile_size: int) -> dict[str, object]:
    row: dict[str, object] = {"arm": arm.name, "documents": len(mine)}
    if not mine:
        return row
    raw, size = np.array([each.raw for each in mine]), np.array([each.size for each in mine])
    row |= {
        "ratio": float(raw.sum() / size.sum()),
        "KL": float(np.mean([each.score.kl for each in mine])),
        "worst KL": float(max(each.score.kl for each in mine)),
        "top-1": float(np.mean([each.score.top1 for each in mine])),
        "retention": _retention(bounds, mine),
        "encode ms": _median([each.encode_ms for each in mine]),
        "decode ms": _median([each.decode_ms for each in mine]),
    }
    if arm.with_profile:
        row |= {f"x{n}": float(raw.mean() / (size.mean() + profile_size / n)) for n in SNAPSHOTS}
    return row


def bound_rows(documents: int, readings: Sequence[Reading]) -> list[dict[str, object]]:
    """Return, for each bound, how often it was refused, and what was measured where it was not."""
    rows: list[dict[str, object]] = []
    for kl in BOUNDS:
        mine = [each for each in readings if each.arm == _bound_name(kl)]
        kls = [each.score.kl for each in mine]
        rows.append(
            {
                "bound": kl,
                "documents": documents,
                "refused": documents - len(mine),
                "exceeded": sum(each > kl for each in kls),
                "KL": float(np.mean(kls)) if kls else None,
                "worst KL": max(kls, default=None),
                "ratio": sum(each.raw for each in mine) / sum(each.size for each in mine) if mine else None,
            }
        )
    return rows


def _bound_name(kl: float) -> str:
    return f"transform, KL at most {kl}"


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
