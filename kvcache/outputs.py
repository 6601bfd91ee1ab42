"""What the answers hold, as plain data with snake_case keys."""

import hashlib
from typing import TYPE_CHECKING, Any

from kvcache.adapters import ModelAdapter
from kvcache.compiling import Clock
from kvcache.figures import Metrics
from kvcache.models import CodecProfile
from kvcache.outcomes import Compression, Decompression, Measurement, timing
from latentmas.downloads import CONTENT_TYPE
from latentmas.protocol.errors import TooLarge
from latentmas.protocol.quality import Basis
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from kvcache.quality import QualityReport

Json = dict[str, Any]
MAX_JSON_NUMBERS = 1 << 16
AMORTISED_OVER = (1, 10, 1000)  # snapshots


def quality_document(report: "QualityReport", adapter: ModelAdapter) -> Json:
    same = ("passed", "errors", "warnings", "recommendations", "figures", "unmeasured", "loss_from", "basis")
    return {"model": adapter.model} | {name: getattr(report, name) for name in same}


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def metrics_document(metrics: Metrics, clock: Clock) -> Json:
    """Return the specification's metrics; `ratio` is bytes over bytes, `compression_ratio` the fraction saved."""
    document: Json = {**metrics.document(), "compression_ratio": metrics.saved, **timing(clock)}
    if metrics.profile_bytes is not None:
        over = {str(snapshots): metrics.ratio_with_profile(snapshots) for snapshots in AMORTISED_OVER}
        document["ratio_with_profile"] = over
    return document


def compression_document(done: Compression, adapter: ModelAdapter) -> Json:
    compressed, kept = done.compressed, done.compressed.kept
    return {
        "model": adapter.model,
        "method": compressed.method,
        "basis": Basis.ACTIVATION,
        "target_reached": compressed.reached,
        "tokens": done.tokens,
        "kept_tokens": done.kept_tokens,
        "kept": None if kept is None else kept.tolist(),
        "profile": None if done.profile is None else _profile_used(done.profile),
        "size": len(compressed.data),
        "digest": digest_of(compressed.data),
        "metrics": metrics_document(compressed.metrics, done.clock),
    }


def measurement_document(done: Measurement, adapter: ModelAdapter) -> Json:
    """Return medians over the repetitions; the call before them is told apart, as it may have compiled."""
    names = ("compression_time_ms", "decompression_time_ms")
    times = {name: done.milliseconds(name) for name in names}
    medians = {name: figures["median"] for name, figures in times.items()}
    document = compression_document(done.warm[0], adapter)
    first = done.first.compressed.metrics
    return (
        document
        | times
        | {
            "repetitions": len(done.warm),
            "first": {name: getattr(first, name) for name in names} | timing(done.first.clock),
            "metrics": document["metrics"] | medians,
        }
    )


def snapshot_document(done: Decompression) -> Json:
    """Return the arrays as nested lists, plain ones two deep. Raises TooLarge for more than JSON should carry."""
    snapshot, frame = done.snapshot, done.snapshot.frame
    return {
        "model": frame.model,
        "tokens": frame.tokens,
        "positions": frame.positions.tolist(),
        "next_position": frame.next_position,
        "profile": done.container.profile,
        "keys": _nested(snapshot, snapshot.keys),
        "values": _nested(snapshot, snapshot.values),
        "metrics": decompression_metrics(done),
    }


def decompression_metrics(done: Decompression) -> Json:
    return {"decompression_time_ms": done.clock.duration_ms, **timing(done.clock)}


def adapter_summary(adapter: ModelAdapter) -> Json:
    return {
        "name": adapter.model,
        "family": adapter.family,
        "attention_type": adapter.attention_type,
        "recommended_threshold": adapter.recommended_threshold,
        "min_tokens": adapter.min_tokens,
        "max_tokens": adapter.max_tokens,
        "window": adapter.window,
        "geometry_known": adapter.geometry is not None,
        "url": f"/api/kv-cache/models/{adapter.model}",
    }


def adapter_document(adapter: ModelAdapter, profile: CodecProfile | None) -> Json:
    geometry = adapter.geometry
    same = ("position_encoding", "rotation", "query_heads", "scale", "softcap", "unknown", "unsure", "note")
    shape = ("layers", "heads", "head_dim", "value_width", "rotary_dim", "thetas", "windows", "width")
    return (
        adapter_summary(adapter)
        | {name: getattr(adapter, name) for name in same}
        | {
            "geometry": None if geometry is None else {name: getattr(geometry, name) for name in shape},
            "profile": None if profile is None else profile_document(profile),
        }
    )


def profile_document(row: CodecProfile) -> Json:
    """Return a published profile; the figures of its curve are numbers here, decimal text in the record."""
    same = ("digest", "size", "model", "weights", "version", "width", "corpus", "basis", "measured_on", "published_at")
    return {name: getattr(row, name) for name in same} | {
        "curve": [{name: float(value) for name, value in point.items()} for point in row.curve],
        "url": _profile_url(row),
    }


def _profile_used(row: CodecProfile) -> Json:
    return {"digest": row.digest, "size": row.size, "url": _profile_url(row)}


def _profile_url(row: CodecProfile) -> str:
    return f"/api/kv-cache/profiles/{row.digest}"


def _nested(snapshot: KVSnapshot, array: Array) -> Any:
    if array.size > MAX_JSON_NUMBERS:
        raise TooLarge(
            f"the arrays hold {array.size} numbers each; a JSON answer holds at most {MAX_JSON_NUMBERS}",
            resolution=f"Send Accept: {CONTENT_TYPE}.",
            limit=MAX_JSON_NUMBERS,
            size=array.size,
        )
    return (array[0, :, 0] if snapshot.frame.is_plain else array).tolist()
