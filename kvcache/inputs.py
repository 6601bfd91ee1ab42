"""What the KV-cache addresses accept, in a JSON body or, beside a file, in the query."""

import base64
import binascii
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from kvcache.plan import METHODS
from latentmas.blobs import DIGEST
from latentmas.inputs import StrictSerializer, object_in, read
from latentmas.parsers import is_file
from latentmas.protocol.errors import InvalidInput
from latentmas.spellings import snake_keys

MAX_REPETITIONS = 20
DEFAULT_REPETITIONS = 5
MAX_TOKENS = 1 << 31
NO_PROFILE = "none"
CAMEL = "camel"
# Shorter and older names of the same parameters.
ALIASES = {"model": "model_name", "threshold": "attention_threshold", "compressed_data": "compressed"}
ARRAY: Any = {"type": "array", "items": {"type": "array", "items": {}}, "description": "number[][], or four deep."}


@extend_schema_field(ARRAY)
class ArrayField(serializers.Field[Any, Any, Any, Any]):
    """A nested list as it came: the engine checks numbers, rank and lengths, and names the field."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, list):
            raise serializers.ValidationError("not an array of numbers")
        return data


@extend_schema_field({"type": "string", "format": "byte"})
class Base64Field(serializers.Field[Any, Any, Any, Any]):
    def to_internal_value(self, data: Any) -> bytes:
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise serializers.ValidationError("not base64") from None


class DigestField(serializers.CharField):
    def to_internal_value(self, data: Any) -> str:
        digest: str = super().to_internal_value(data)
        if DIGEST.fullmatch(digest) is None and digest != NO_PROFILE:
            raise serializers.ValidationError("not a digest; write sha256: and 64 hex digits")
        return digest


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
    profile = DigestField(required=False, help_text="Digest of a codec profile, or `none`; the newest by default.")


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


class NothingInput(StrictSerializer):
    """No parameters at all."""


class ProfilesInput(StrictSerializer):
    model_name = serializers.CharField(required=False, help_text="Name, hub id or alias.")


def read_query(request: Request, shape: type[StrictSerializer]) -> dict[str, Any]:
    """Return the validated query parameters but `keys`, which concerns the answer. Raises ValidationError."""
    given = request.query_params.dict()
    given.pop("keys", None)
    return read(snake_keys(given, aliases=ALIASES), shape)


def read_body(request: Request, *, json: type[StrictSerializer], file: type[StrictSerializer]) -> dict[str, Any]:
    """Return the parameters: of a JSON body from it, beside a file from the query. Raises ValidationError."""
    if is_file(request):
        return read_query(request, file)
    read_query(request, NothingInput)
    return read(object_in(request, aliases=ALIASES), json)


def wants_camel(request: Request) -> bool:
    """Return whether the answer's keys are to be phase 1's. Raises InvalidInput for anything but `keys=camel`."""
    wanted = request.query_params.get("keys")
    if wanted not in (None, CAMEL):
        raise InvalidInput(f"keys is {wanted!r}; the only spelling beside the usual one is {CAMEL!r}", field="keys")
    return wanted == CAMEL
