"""Answers of the read-only endpoints (models, profiles, estimates, totals): serializers, each with what fills it."""

from typing import Any

from rest_framework import serializers

from kvcache.adapters import ModelAdapter
from kvcache.server.models import CodecProfile
from latentmas.protocol.quality import Basis
from latentmas.rest.answers import Json

BASES = [basis.value for basis in Basis]


class AdapterSummaryOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    family = serializers.CharField()
    attention_type = serializers.CharField(allow_null=True)
    recommended_threshold = serializers.FloatField()
    min_tokens = serializers.IntegerField()
    max_tokens = serializers.IntegerField()
    window = serializers.IntegerField(allow_null=True, help_text="Where every layer has the same.")
    geometry_known = serializers.BooleanField(help_text="False: only plain arrays can be compressed.")
    url = serializers.CharField()


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


class AdaptersOutput(serializers.Serializer[Any]):
    models = AdapterSummaryOutput(many=True)


class CurvePointOutput(serializers.Serializer[Any]):
    step = serializers.FloatField()
    ratio = serializers.FloatField()
    kl = serializers.FloatField(help_text="Nats.")
    top1 = serializers.FloatField()


class ProfileOutput(serializers.Serializer[Any]):
    digest = serializers.CharField()
    size = serializers.IntegerField()
    model = serializers.CharField()
    weights = serializers.CharField()
    version = serializers.CharField()
    width = serializers.IntegerField()
    corpus = serializers.DictField()
    basis = serializers.ChoiceField(BASES)
    measured_on = serializers.DictField(allow_null=True)
    curve = CurvePointOutput(many=True)
    published_at = serializers.DateTimeField()
    url = serializers.CharField(help_text="Of the file.")


def profile_document(row: CodecProfile) -> Json:
    """Return a published profile; the figures of its curve are numbers here, decimal text in the record."""
    same = ("digest", "size", "model", "weights", "version", "width", "corpus", "basis", "measured_on", "published_at")
    return {name: getattr(row, name) for name in same} | {
        "curve": [{name: float(value) for name, value in point.items()} for point in row.curve],
        "url": profile_url(row),
    }


def profile_url(row: CodecProfile) -> str:
    return f"/api/kv-cache/profiles/{row.digest}"


class ProfilesOutput(serializers.Serializer[Any]):
    profiles = ProfileOutput(many=True)


class AdapterOutput(AdapterSummaryOutput):
    """`null` is not known; the facts that are missing are named in `unknown`."""

    position_encoding = serializers.CharField(allow_null=True)
    rotation = serializers.CharField(allow_null=True)
    query_heads = serializers.IntegerField(allow_null=True)
    scale = serializers.FloatField(allow_null=True)
    softcap = serializers.FloatField(allow_null=True)
    unknown = serializers.ListField(child=serializers.CharField())
    unsure = serializers.ListField(child=serializers.CharField())
    note = serializers.CharField(allow_null=True)
    geometry = serializers.DictField(allow_null=True)
    profile = ProfileOutput(allow_null=True)


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


class EstimateOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    tokens = serializers.IntegerField()
    method = serializers.CharField()
    basis = serializers.ChoiceField(BASES)
    measured = serializers.BooleanField(help_text="Whether the basis is a measurement of this server's own.")
    rests_on = serializers.ChoiceField(
        ["profile", "runs", "nothing"], help_text="`runs`: of what callers uploaded under the model's name, unchecked."
    )
    note = serializers.CharField()
    unknown = serializers.ListField(child=serializers.CharField())
    ratio = serializers.FloatField(allow_null=True)
    compression_ratio = serializers.FloatField(allow_null=True)
    original_bytes = serializers.IntegerField(allow_null=True)
    compressed_bytes = serializers.IntegerField(allow_null=True)
    bandwidth_savings_bytes = serializers.IntegerField(allow_null=True)
    bandwidth_savings_percent = serializers.FloatField(allow_null=True)


class CompressionStatisticsOutput(serializers.Serializer[Any]):
    totals = serializers.DictField(child=serializers.IntegerField())
    by_kind = serializers.ListField(
        child=serializers.DictField(),
        help_text="`basis` says how each run was measured; medians over callers' uploads have the basis `declared`.",
    )
    medians_over = serializers.IntegerField(help_text="How many of the newest runs the medians look at.")


class StreamOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    model = serializers.CharField()
    next_chunk = serializers.IntegerField()
    next_position = serializers.IntegerField()
    tokens = serializers.IntegerField()
    size = serializers.IntegerField()
    max_size = serializers.IntegerField()
    expires_at = serializers.DateTimeField()
    chunk_url = serializers.CharField()
    finish_url = serializers.CharField()
