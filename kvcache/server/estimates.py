"""Estimate what compressing would save: from a profile's measured curve, recorded runs of this server, or arithmetic.

Runs are of whatever callers uploaded under a model's name, so what they add up to is `declared`, as is arithmetic.
"""

from collections.abc import Mapping
from typing import Any

from kvcache.adapters import ModelAdapter
from kvcache.compression.plan import DEFAULT_KL, NO_PROFILE, KLBound, Ratio, Target, Threshold, target_of
from kvcache.server.models import Operation
from kvcache.server.queries import get_profile, profile_for
from kvcache.server.statistics import medians, newest_runs
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.quality import MEASURED, Basis
from latentmas.protocol.snapshot import RAW_BYTES_PER_NUMBER

AUTO = "auto"


def estimate(adapter: ModelAdapter, *, tokens: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the savings to expect for a cache of so many tokens; sizes are None where the geometry is unknown.

    Raises InvalidInput, NotFound for an unknown profile, and QualityBelowThreshold where the profile's measured curve
    does not reach the target.
    """
    target = target_of(options, adapter)
    found = _by_curve(adapter, target, options) or _by_runs(adapter, options) or _by_arithmetic(adapter, target, tokens)
    document = {"model": adapter.model, "tokens": tokens, "unknown": list(adapter.unknown)}
    return document | _savings(_original_bytes(adapter, tokens), found)


def _original_bytes(adapter: ModelAdapter, tokens: int) -> int | None:
    """Return the float16 bytes of the entries that the model's next token can attend to."""
    if (geometry := adapter.geometry) is None:
        return None
    held = sum(tokens if window is None else min(tokens, window - 1) for window in geometry.windows)
    return held * geometry.layer_width * RAW_BYTES_PER_NUMBER


def _by_curve(adapter: ModelAdapter, target: Target | None, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the estimate from a profile's measured curve, which is of the transform code alone; None without one."""
    if options["method"] not in (AUTO, "transform") or isinstance(target, Threshold):
        return None
    wanted = options.get("profile")
    if wanted == NO_PROFILE:
        return None
    row = profile_for(adapter.model) if wanted is None else get_profile(wanted)
    if row is None or not row.curve:
        return None
    points = [{name: float(value) for name, value in point.items()} for point in row.curve]
    point = _point(points, target)
    return {
        "method": "transform",
        "basis": row.basis,
        "rests_on": "profile",
        "profile": row.digest,
        "profile_bytes": row.size,
        "measured_on": row.measured_on,
        "ratio": point["ratio"],
        "kl": point["kl"],
        "top1": point["top1"],
        "note": "Measured on the documents named; a text of another kind may compress less or lose more.",
    }


def _point(points: list[dict[str, float]], target: Target | None) -> dict[str, float]:
    """Return the measured point that meets the target; points are not interpolated."""
    if isinstance(target, Ratio):
        enough = [point for point in points if point["ratio"] >= target.ratio]
        if not enough:
            most = max(point["ratio"] for point in points)
            raise QualityBelowThreshold(
                f"no measured point has a ratio of {target.ratio:g}; the highest is {most:.2f}",
                resolution=f"Ask for a ratio of at most {most:.2f}.",
                field="ratio",
            )
        return min(enough, key=lambda point: point["kl"])
    bound = target.kl if isinstance(target, KLBound) else DEFAULT_KL
    within = [point for point in points if point["kl"] <= bound]
    if not within:
        least = min(point["kl"] for point in points)
        raise QualityBelowThreshold(
            f"no measured point has a KL of at most {bound:g} nats; the lowest is {least:g}",
            resolution=f"Ask for a KL bound of at least {least:g} nats.",
            field="kl",
        )
    return max(within, key=lambda point: point["ratio"])


def _by_runs(adapter: ModelAdapter, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the estimate from recorded runs of this model and method, whatever their target was; None without any.

    That the uploads were caches of this model is the callers' word. Runs on plain arrays do not represent a model's
    whole cache; they count only where its geometry is unknown.
    """
    wanted: dict[str, Any] = {} if options["method"] == AUTO else {"method": options["method"]}
    if adapter.geometry is not None:
        wanted["width"] = adapter.geometry.width
    runs = list(newest_runs(model=adapter.model, operation__in=(Operation.COMPRESS, Operation.STREAM), **wanted))
    found = medians(runs)
    if found.figures["ratio"] is None:
        return None
    ratios = sorted(run.ratio for run in runs if run.ratio is not None)
    methods = sorted({run.method for run in runs})
    return {
        "method": methods[0] if len(methods) == 1 else AUTO,
        "basis": Basis.DECLARED,
        "rests_on": "runs",
        "runs": found.runs,
        "methods": methods,
        "ratio": found.figures["ratio"],
        "ratio_range": [ratios[0], ratios[-1]],
        "cumulative_attention": found.figures["cumulative_attention"],
        "compression_time_ms": found.figures["compression_time_ms"],
        "note": (
            "The median of the newest uploads under this model's name; nobody checked that they were its caches, "
            "and their targets and texts may have been others."
        ),
    }


def _by_arithmetic(adapter: ModelAdapter, target: Target | None, tokens: int) -> dict[str, Any]:
    """Return what follows without a measurement: the ratio that was asked for, or the bounds on the kept tokens."""
    found: dict[str, Any] = {"method": AUTO, "basis": Basis.DECLARED, "rests_on": "nothing", "ratio": None}
    if isinstance(target, Ratio):
        note = "The ratio is the one asked for; nothing measured here says what it costs."
        return found | {"ratio": target.ratio, "note": note}
    if isinstance(target, Threshold):
        most = min(tokens, target.max_tokens or adapter.max_tokens)
        least = min(tokens, target.min_tokens or adapter.min_tokens)
        note = "A selection keeps between min_tokens and max_tokens; how many, only the attention of a cache can say."
        return found | {"method": "select", "tokens_kept_range": [least, most], "note": note}
    return found | {"note": "Nothing was measured for this model here, so nothing can be said about its savings."}


def _savings(original: int | None, found: dict[str, Any]) -> dict[str, Any]:
    fraction = None if found["ratio"] is None else 1 - 1 / found["ratio"]
    saved = None if fraction is None or original is None else round(original * fraction)
    return found | {
        "original_bytes": original,
        "compressed_bytes": None if saved is None or original is None else original - saved,
        "bandwidth_savings_bytes": saved,
        "bandwidth_savings_percent": None if fraction is None else 100 * fraction,
        "compression_ratio": fraction,
        "measured": found["basis"] in MEASURED,
    }
