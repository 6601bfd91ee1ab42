"""The shapes of the answers, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from latentmas.protocol.quality import Basis

BASES = [basis.value for basis in Basis]


class MetricsOutput(serializers.Serializer[Any]):
    """The specification's metrics. With `keys=camel` the keys are phase 1's."""

    compression_time_ms = serializers.FloatField()
    decompression_time_ms = serializers.FloatField(allow_null=True, help_text="Null unless it was asked for.")
    ttft_ms = serializers.FloatField(allow_null=True, help_text="Null: the model was not run here.")
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


class CompressionOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    method = serializers.CharField()
    basis = serializers.ChoiceField(BASES)
    target_reached = serializers.BooleanField()
    tokens = serializers.IntegerField()
    kept_tokens = serializers.IntegerField()
    kept = serializers.ListField(child=serializers.IntegerField(), allow_null=True, help_text="Indices; null: all.")
    profile = serializers.DictField(allow_null=True)
    size = serializers.IntegerField()
    digest = serializers.CharField()
    compressed = serializers.CharField(required=False, help_text="The .kvz file, base64.")
    metrics = MetricsOutput()


class TimesOutput(serializers.Serializer[Any]):
    median = serializers.FloatField()
    least = serializers.FloatField()
    most = serializers.FloatField()


class MeasurementOutput(CompressionOutput):
    repetitions = serializers.IntegerField()
    first = serializers.DictField(help_text="The call before the repetitions, with its compile time.")
    compression_time_ms = TimesOutput()
    decompression_time_ms = TimesOutput()


class SnapshotOutput(serializers.Serializer[Any]):
    model = serializers.CharField(allow_null=True)
    tokens = serializers.IntegerField()
    positions = serializers.ListField(child=serializers.IntegerField())
    next_position = serializers.IntegerField()
    profile = serializers.CharField(allow_null=True)
    keys = serializers.ListField()
    values = serializers.ListField()
    metrics = serializers.DictField()


class ValidationOutput(serializers.Serializer[Any]):
    passed = serializers.BooleanField(help_text="No errors; warnings do not count.")
    errors = serializers.ListField(  # type: ignore[assignment]  # declared fields never become attributes
        child=serializers.CharField()
    )
    warnings = serializers.ListField(child=serializers.CharField())
    recommendations = serializers.ListField(child=serializers.CharField())
    basis = serializers.ChoiceField(BASES)
    figures = serializers.DictField(help_text="Null is not measured.")
    unmeasured = serializers.ListField(child=serializers.CharField())
    loss_from = serializers.CharField(allow_null=True, help_text="What the information loss was computed from.")


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


class EstimateOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    tokens = serializers.IntegerField()
    method = serializers.CharField()
    basis = serializers.ChoiceField(BASES)
    measured = serializers.BooleanField()
    rests_on = serializers.ChoiceField(["profile", "runs", "nothing"])
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
    by_kind = serializers.ListField(child=serializers.DictField())
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
