"""How often and by how much the KL bound is exceeded, on text that chose neither the codec profile nor the margin.

The bound is an estimate: the error of this very snapshot, times the worst KL per error met in calibration, times a
margin (`rate.CAUTION`). The margin that a snapshot needs is its measured KL over the estimate without any margin. It is
taken at fixed ratios, so that it is known of snapshots too for which the bound mode refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.compression.arms import compressed
from benchmarks.compression.cases import Case, read_case, score
from benchmarks.compression.setup import Bench
from factory.codec.windows import Window
from kvcache.coding import rate, transform, transform_decoding
from kvcache.coding.coordinates import coordinates
from kvcache.compression.plan import KLBound
from latentmas.protocol.snapshot import KVSnapshot

BOUNDS = (0.01, 0.04, 0.1)  # nats
RATIOS = (8.0, 14.0, 28.0)  # at which the margin that a snapshot needs is measured


@dataclass(frozen=True, slots=True)
class Bounded:
    """One window asked for one bound; `kl` is None where no step was expected to hold it."""

    bound: float
    kl: float | None
    ratio: float | None

    @property
    def exceeded(self) -> bool:
        return self.kl is not None and self.kl > self.bound


@dataclass(frozen=True, slots=True)
class WindowFigures:
    margins: tuple[float, ...]  # at RATIOS
    bounded: tuple[Bounded, ...]


def read_bounds(bench: Bench, windows: Sequence[Window]) -> list[WindowFigures]:
    """Return what every window needs as a margin, and what the bound mode makes of it."""
    found = []
    for window in windows:
        case = read_case(bench.model, window)
        margins = tuple(_margin(bench, case, ratio) for ratio in RATIOS)
        found.append(WindowFigures(margins, tuple(_bounded(bench, case, bound) for bound in BOUNDS)))
    return found


def _margin(bench: Bench, case: Case, ratio: float) -> float:
    """Return the measured KL over the estimate without a margin, at a fixed ratio."""
    found = coordinates(case.context.snapshot, profile=bench.profile)
    step = rate.step_for_bytes(found, size=int(found.frame.raw_bytes / ratio))
    coded = transform.encode_coordinates(found, step=step)
    keys, values = transform_decoding.decode(coded, found.frame, profile=bench.profile)
    kl = score(bench.model, case, KVSnapshot(found.frame, keys, values)).kl
    factor = bench.profile.document.kl_per_distortion
    assert factor is not None  # every profile that is calibrated here was measured
    return kl / (factor * rate.distortion(found, step=step))


def _bounded(bench: Bench, case: Case, bound: float) -> Bounded:
    made = compressed(case.context, bench.adapter, "transform", KLBound(bound), bench.profile)
    if made is None:
        return Bounded(bound, None, None)
    kl = score(bench.model, case, made.restored).kl
    return Bounded(bound, kl, case.context.snapshot.frame.raw_bytes / made.size)


def margin_row(name: str, found: Sequence[WindowFigures]) -> dict[str, object]:
    """Return the margins that the windows of a group need, beside the one in use."""
    margins = [margin for each in found for margin in each.margins]
    return {
        "text": name,
        "windows": len(found),
        "margin needed, mean": sum(margins) / len(margins),
        "most": max(margins),
        f"windows above {rate.CAUTION:g}": sum(max(each.margins) > rate.CAUTION for each in found),
    }


def bound_rows(name: str, found: Sequence[WindowFigures]) -> list[dict[str, object]]:
    """Return, for each bound, how many windows were refused or exceeded it, and what was measured on the others."""
    rows: list[dict[str, object]] = []
    for number, bound in enumerate(BOUNDS):
        mine = [each.bounded[number] for each in found]
        held = [(each.kl, each.ratio) for each in mine if each.kl is not None and each.ratio is not None]
        rows.append(
            {
                "text": name,
                "bound": bound,
                "windows": len(mine),
                "refused": len(mine) - len(held),
                "exceeded": sum(each.exceeded for each in mine),
                "KL": sum(kl for kl, _ in held) / len(held) if held else None,
                "worst KL over bound": max((kl / bound for kl, _ in held), default=None),
                "ratio": len(held) / sum(1 / ratio for _, ratio in held) if held else None,
            }
        )
    return rows
