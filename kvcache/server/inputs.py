"""Parameters of the KV-cache endpoints, given in a JSON body or, beside a file, in the query."""

from rest_framework import serializers

from kvcache.compression.plan import METHODS, NO_PROFILE
from latentmas.rest.parameters import ArrayField, Base64Field, DigestField, StrictSerializer

# Shorter and older names of the same parameters.
ALIASES = {"model": "model_name", "threshold": "attention_threshold", "compressed_data": "compressed"}
MAX_REPETITIONS = 20
DEFAULT_REPETITIONS = 5
MAX_TOKENS = 1 << 31


class RopeInput(StrictSerializer):
    rope = serializers.ChoiceField(
        ["applied", "removed"],
        default="applied",
        help_text="Whether queries, and four-deep keys in JSON, are rotated at their positions.",
    )


class CompressionInput(StrictSerializer):
    """One target at most: a threshold, a ratio or a bound on the KL divergence."""

    model_name = serializers.CharField(required=False, help_text="Name, hub id or alias; a snapshot may name it too.")
    method = serializers.ChoiceField(METHODS, default="auto")
    attention_threshold = serializers.FloatField(required=False, help_text="Attention mass to keep, above 0, up to 1.")
    min_tokens = serializers.IntegerField(required=False, max_value=MAX_TOKENS)
    max_tokens = serializers.IntegerField(required=False, max_value=MAX_TOKENS)
    ratio = serializers.FloatField(required=False, help_text="Bytes at float16 over bytes of the file.")
    kl = serializers.FloatField(required=False, help_text="Nats; needs a codec profile of the model.")
    profile = DigestField(
        other=NO_PROFILE, required=False, help_text="Digest of a codec profile, or `none`; the newest by default."
    )


class CompressOptions(CompressionInput, RopeInput):
    time_decompression = serializers.BooleanField(default=False, help_text="Decode the file too, to say how long.")


class ArraysInput(RopeInput):
    """`number[][]` is one head without RoPE; `[layers][tokens][heads][dim]` is the model's own cache."""

    keys = ArrayField()
    values = ArrayField()
    queries = ArrayField(required=False)
    query_positions = serializers.ListField(child=serializers.IntegerField(min_value=0), required=False)
    weights = DigestField(required=False, help_text="Of the model's weights; a snapshot says them itself.")


class CompressInput(CompressOptions, ArraysInput):
    """A JSON request to compress."""


class BenchmarkOptions(CompressionInput, RopeInput):
    repetitions = serializers.IntegerField(min_value=1, max_value=MAX_REPETITIONS, default=DEFAULT_REPETITIONS)
    measure_ttft = serializers.BooleanField(
        default=False, help_text="Run the model too, if it runs here, to say how long until the first token."
    )


class BenchmarkInput(BenchmarkOptions, ArraysInput):
    """A JSON request to measure."""


class CompressedInput(StrictSerializer):
    compressed = Base64Field(help_text="A .kvz file, base64.")


class ValidateOptions(RopeInput):
    model_name = serializers.CharField(required=False, help_text="Name, hub id or alias; the file may name it too.")


class ValidateInput(ValidateOptions, CompressedInput, ArraysInput):
    """Original arrays and queries are welcome: without them only what the file says can be judged."""

    keys = ArrayField(required=False)
    values = ArrayField(required=False)


class EstimateInput(CompressionInput):
    model_name = serializers.CharField(help_text="Name, hub id or alias.")
    tokens = serializers.IntegerField(min_value=1, max_value=MAX_TOKENS)


class StreamInput(CompressionInput, RopeInput):
    model_name = serializers.CharField(help_text="Name, hub id or alias.")
    chunk_size = serializers.IntegerField(required=False, min_value=1, max_value=1 << 20, help_text="Tokens.")


class ProfilesInput(StrictSerializer):
    model_name = serializers.CharField(required=False, help_text="Name, hub id or alias.")
