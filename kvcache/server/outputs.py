"""Answers of the computing endpoints: serializers, each with the function that fills it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request

from kvcache.adapters import ModelAdapter
from kvcache.compression.metrics import Metrics
from kvcache.server.catalogue_outputs import profile_url
from kvcache.server.first_token import FirstToken
from kvcache.server.models import CodecProfile
from kvcache.server.operations import Compression, Decompression, Measurement
from kvcache.server.recording import Clock, timing
from latentmas.protocol.errors import TooLarge
from latentmas.protocol.quality import Basis
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array
from latentmas.rest.answers import CONTENT_TYPE, Json, answer, base64_of, digest_of, file_answer, wants_file

if TYPE_CHECKING:
    from kvcache.compression.quality import QualityReport

BASES = [basis.value for basis in Basis]
MAX_JSON_NUMBERS = 1 << 16
AMORTISED_OVER = (1, 10, 1000)  # snapshots


class MetricsOutput(serializers.Serializer[Any]):
    """The specification's metrics. With `keys=camel` the keys are phase 1's."""

    compression_time_ms = serializers.FloatField()
    decompression_time_ms = serializers.FloatField(allow_null=True, help_text="Null unless it was asked for.")
    ttft_ms = serializers.FloatField(allow_null=True, help_text="Unpack, inject, first token; null: not run here.")
    prefill_ttft_ms = serializers.FloatField(allow_null=True, help_text="First token after reading the text instead.")
    ttft_reason = serializers.CharField(allow_null=True, help_text="Why there is no `ttft_ms`.")
    token_savings = serializers.IntegerField()
    bandwidth_savings_bytes = serializers.IntegerField()
    bandwidth_savings_percent = serializers.FloatField()
    cumulative_attention = serializers.FloatField(allow_null=True, help_text="Null where no tokens were selected.")
    ratio = serializers.FloatField(help_text="Bytes at float16 over bytes of the file.")
    compression_ratio = serializers.FloatField(help_text="The fraction saved, as the specification calls it.")
    original_bytes = serializers.IntegerField()
    compressed_bytes = serializers.IntegerField()
    profile_bytes = serializers.IntegerField(allow_null=True)
    ratio_with_profile = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text="With the profile's bytes spread over so many files."
    )
    compile_ms = serializers.FloatField(help_text="Part of the time above that was spent compiling kernels.")
    cold = serializers.BooleanField(help_text="Whether anything was compiled: then the times say little.")


def metrics_document(metrics: Metrics, clock: Clock) -> Json:
    """Return the specification's metrics; `ratio` is bytes over bytes, `compression_ratio` the fraction saved."""
    document: Json = {**metrics.document(), "compression_ratio": metrics.saved, **timing(clock)}
    if metrics.profile_bytes is not None:
        over = {str(snapshots): metrics.ratio_with_profile(snapshots) for snapshots in AMORTISED_OVER}
        document["ratio_with_profile"] = over
    return document


class CompressionOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    method = serializers.CharField()
    basis = serializers.ChoiceField(BASES)
    target_reached = serializers.BooleanField()
    tokens = serializers.IntegerField()
    kept_tokens = serializers.IntegerField()
    kept = serializers.ListField(child=serializers.IntegerField(), allow_null=True, help_text="Indices; null: all.")
    profile = serializers.DictField(allow_null=True)
    expected_kl = serializers.DictField(
        allow_null=True, help_text="`nats` is an estimate by the codec profile, never measured here; null without one."
    )
    size = serializers.IntegerField()
    digest = serializers.CharField()
    compressed = serializers.CharField(required=False, help_text="The .kvz file, base64.")
    metrics = MetricsOutput()


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
        "expected_kl": _expected_kl(compressed.expected_kl),
        "size": len(compressed.data),
        "digest": digest_of(compressed.data),
        "metrics": metrics_document(compressed.metrics, done.clock),
    }


def compression_answer(request: Request, done: Compression, adapter: ModelAdapter) -> HttpResponseBase:
    """Return the .kvz file or a JSON document with it, as `Accept` asks."""
    document = compression_document(done, adapter)
    data = done.compressed.data
    if wants_file(request):
        short = {name: value for name, value in document.items() if name != "kept"}
        return file_answer(data, name=f"{adapter.model}.kvz", result=short)
    return answer(request, document | {"compressed": base64_of(data)})


def _expected_kl(nats: float | None) -> Json | None:
    if nats is None:
        return None
    note = "An estimate from the codec profile's calibration, not a guarantee: the model was not run."
    return {"nats": nats, "basis": Basis.DECLARED, "note": note}


def _profile_used(row: CodecProfile) -> Json:
    return {"digest": row.digest, "size": row.size, "url": profile_url(row)}


class TimesOutput(serializers.Serializer[Any]):
    median = serializers.FloatField()
    least = serializers.FloatField()
    most = serializers.FloatField()


class MeasurementOutput(CompressionOutput):
    repetitions = serializers.IntegerField()
    first = serializers.DictField(help_text="The call before the repetitions, with its compile time.")
    compression_time_ms = TimesOutput()
    decompression_time_ms = TimesOutput()


def measurement_document(done: Measurement, adapter: ModelAdapter) -> Json:
    """Return medians over the repetitions; the first call, which may have compiled, is reported separately."""
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
            "metrics": document["metrics"] | medians | _first_token(done.first_token),
        }
    )


def _first_token(found: FirstToken) -> Json:
    times = {"ttft_ms": None, "prefill_ttft_ms": None} if found.times is None else asdict(found.times)
    return {**times, "ttft_reason": found.reason}


class SnapshotOutput(serializers.Serializer[Any]):
    model = serializers.CharField(allow_null=True)
    tokens = serializers.IntegerField()
    positions = serializers.ListField(child=serializers.IntegerField())
    next_position = serializers.IntegerField()
    profile = serializers.CharField(allow_null=True)
    keys = serializers.ListField()
    values = serializers.ListField()
    metrics = serializers.DictField()


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


def _nested(snapshot: KVSnapshot, array: Array) -> Any:
    if array.size > MAX_JSON_NUMBERS:
        raise TooLarge(
            f"the arrays hold {array.size} numbers each; a JSON answer holds at most {MAX_JSON_NUMBERS}",
            resolution=f"Send Accept: {CONTENT_TYPE}.",
            limit=MAX_JSON_NUMBERS,
            size=array.size,
        )
    return (array[0, :, 0] if snapshot.frame.is_plain else array).tolist()


class ValidationOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    passed = serializers.BooleanField(help_text="No errors; warnings do not count.")
    errors = serializers.ListField(  # type: ignore[assignment]  # declared fields never become attributes
        child=serializers.CharField()
    )
    warnings = serializers.ListField(child=serializers.CharField())
    recommendations = serializers.ListField(child=serializers.CharField())
    basis = serializers.ChoiceField(BASES, help_text="The best of a figure of quality; `declared`: none was measured.")
    figures = serializers.DictField(
        child=serializers.FloatField(allow_null=True), help_text="Null is not known; `bases` says how the others are."
    )
    bases = serializers.DictField(
        child=serializers.ChoiceField(BASES, allow_null=True),
        help_text="How each figure is known: `declared` is the file's own claim, the others were measured here.",
    )
    unmeasured = serializers.ListField(child=serializers.CharField(), help_text="Unknown, or only claimed.")
    loss_from = serializers.CharField(allow_null=True, help_text="What the information loss was computed from.")


def quality_document(report: "QualityReport", adapter: ModelAdapter) -> Json:
    same = ("passed", "errors", "warnings", "recommendations", "figures", "bases", "unmeasured", "loss_from", "basis")
    return {"model": adapter.model} | {name: getattr(report, name) for name in same}
