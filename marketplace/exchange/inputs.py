"""Inputs of `kv-cache/align`: a JSON body, or a file with its parameters in the query."""

from typing import Any

import numpy as np
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from kvcache.exchange.policy import Policy
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.rest.middleware import PROTOCOL
from latentmas.rest.parameters import ArrayField, DigestField, StrictSerializer, read, snake_keys

MAX_POSITION = (1 << 31) - 2
POLICY = ("minimum_retention", "minimum_confidence", "require_certificate", "require_inside", "allow_partial")


class AlignOptions(StrictSerializer):
    """Beside a file; with `memory` the file holds the target's tokens alone."""

    protocol = serializers.ChoiceField([PROTOCOL], required=False)
    source_model = serializers.CharField(required=False, help_text="Name, hub id or alias; the memory may name it too.")
    target_model = serializers.CharField(help_text="Name, hub id or alias.")
    memory = serializers.CharField(required=False, help_text="The id of one of your stored memories.")
    w_matrix_listing = serializers.CharField(required=False, help_text="A listing's id; the best certified by default.")
    w_matrix_version = serializers.CharField(required=False, help_text="MAJOR.MINOR.PATCH")
    minimum_retention = serializers.FloatField(required=False, help_text="0 to 1; below it nothing is handed over.")
    minimum_confidence = serializers.FloatField(required=False, help_text="The same for the interval's lower end.")
    require_certificate = serializers.BooleanField(default=True)
    require_inside = serializers.BooleanField(
        default=True, help_text="Refuse a memory outside of what the W-Matrix was calibrated on."
    )
    allow_partial = serializers.BooleanField(
        default=False, help_text="Hand over the tokens that every layer holds where windows have dropped some."
    )


class KVCacheInput(StrictSerializer):
    """A model's own cache as it keeps it: keys rotated at their positions."""

    keys = ArrayField(help_text="[layers][tokens][heads][dim]")
    values = ArrayField(help_text="[layers][tokens][heads][dim]")
    positions = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=MAX_POSITION), required=False, help_text="0, 1, ..."
    )
    next_position = serializers.IntegerField(required=False, min_value=1, max_value=MAX_POSITION)
    offsets = ArrayField(required=False, help_text="[tokens][2]: the characters of each token, [0, 0] for BOS.")
    weights = DigestField(required=False)
    model = serializers.CharField(required=False)


@extend_schema_field(KVCacheInput)
class KVCacheField(serializers.Field[Any, Any, Any, Any]):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("not an object with keys and values")
        return read(snake_keys(data), KVCacheInput)


class AlignInput(AlignOptions):
    """Exactly one of `kv_cache` and `memory`."""

    kv_cache = KVCacheField(required=False)
    target_spans = ArrayField(required=False, help_text="[tokens][2]: the context in the target's own tokens.")
    target_ids = serializers.ListField(child=serializers.IntegerField(), required=False)
    source_spans = ArrayField(required=False, help_text="[tokens][2]: of all of the source's tokens.")
    target_first_layer = ArrayField(
        required=False,
        help_text="[tokens][w]: each token's keys, without RoPE, and values in the target's first layer. For few "
        "tokens; more go as a file.",
    )


def policy_of(options: dict[str, Any]) -> Policy:
    """Return the receiver's policy from a request's options. Raises InvalidInput."""
    return Policy(**{name: options[name] for name in POLICY if name in options})


def whole_numbers(name: str, given: Any) -> Array:
    """Return nested lists of whole numbers as an array, int64. Raises InvalidInput naming the field."""
    try:
        array = np.asarray(given)
    except ValueError as error:  # rows of differing lengths
        raise InvalidInput(f"{name} has rows of differing lengths", field=name) from error
    if array.dtype.kind not in "iu" or not array.size:
        raise InvalidInput(f"{name} must hold whole numbers", field=name)
    if array.min() < 0 or array.max() > MAX_POSITION:
        raise InvalidInput(f"{name} holds a number outside of 0 to {MAX_POSITION}", field=name)
    return array.astype(np.int64)
