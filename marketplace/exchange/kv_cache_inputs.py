"""Requests of `kv-cache/align`: parameters, and the memory and target tokens that come with them, JSON or a file."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from kvcache.compression.container import KIND as KVZ
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.policy import Policy
from kvcache.exchange.rereading import CHOOSERS
from kvcache.exchange.rereading.choosing import Budget
from kvcache.exchange.target_file import DOCUMENT, TENSORS
from kvcache.server import operations
from kvcache.server.payloads import whole_frame
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KIND, VERSION, KVSnapshot, read_snapshot
from latentmas.protocol.tensors import Array, numbers
from latentmas.rest.middleware import PROTOCOL
from latentmas.rest.parameters import ArrayField, DigestField, StrictSerializer, read, snake_keys
from marketplace.exchange.kv_cache import Handed, ReadingOrder, adapter_of

MAX_POSITION = (1 << 31) - 2
POLICY = (
    *("minimum_retention", "minimum_confidence", "require_certificate", "require_scope", "require_inside"),
    "allow_partial",
)
READING = ("reread", "reread_tokens", "chooser", "text", "question")
RANK = 4
FIRST_LAYER_RANK = 2


class AlignOptions(StrictSerializer):
    """Beside a file; with `memory` the file holds the target's tokens alone."""

    protocol = serializers.ChoiceField([PROTOCOL], required=False)
    source_model = serializers.CharField(required=False, help_text="Name, hub id or alias; the memory may name it too.")
    target_model = serializers.CharField(help_text="Name, hub id or alias.")
    memory = serializers.CharField(required=False, help_text="The id of one of your stored memories.")
    w_matrix_listing = serializers.CharField(required=False, help_text="A listing's id; the best certified by default.")
    w_matrix_version = serializers.CharField(required=False, help_text="MAJOR.MINOR.PATCH")
    target_weights = DigestField(
        required=False, help_text="Of the receiver; others than the figures were measured with are a finding."
    )
    minimum_retention = serializers.FloatField(required=False, help_text="0 to 1, of what is expected of this memory.")
    minimum_confidence = serializers.FloatField(required=False, help_text="0 to 1, of the measured lower end.")
    require_certificate = serializers.BooleanField(default=True)
    require_scope = serializers.BooleanField(
        default=True, help_text="Refuse a context that is longer than the certificate covers."
    )
    require_inside = serializers.BooleanField(
        default=True, help_text="Refuse a memory unlike those of calibration, or of which too little is expected."
    )
    allow_partial = serializers.BooleanField(
        default=False, help_text="Hand over the tokens that every layer holds where windows have dropped some."
    )
    reread = serializers.FloatField(
        required=False, help_text="0 to 1: the share of the target's tokens that it will read itself, in place."
    )
    reread_tokens = serializers.IntegerField(required=False, help_text="The same as a number of tokens.")
    chooser = serializers.ChoiceField(
        list(CHOOSERS),
        required=False,
        help_text="Of the tokens to read. By default `words` with a question, else `mixed` with a text, else `last`.",
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
    reread_positions = serializers.ListField(
        child=serializers.IntegerField(), required=False, help_text="Those it will read, chosen by yourself; BOS is 0."
    )
    text = serializers.CharField(
        required=False, trim_whitespace=False, help_text="What the source has read, for a chooser that looks at it."
    )
    question = serializers.CharField(required=False, help_text="What will be asked of the target.")


def policy_of(options: dict[str, Any]) -> Policy:
    """Return the receiver's policy from a request's options. Raises InvalidInput."""
    return Policy(**{name: options[name] for name in POLICY if name in options})


def reading_of(options: dict[str, Any]) -> ReadingOrder | None:
    """Return what the target will read itself, None for nothing. Raises InvalidInput where nothing says how much."""
    given = {name: options[name] for name in READING if name in options}
    if not given:
        return None
    budget = Budget(share=options.get("reread"), tokens=options.get("reread_tokens"))
    return ReadingOrder(budget, **{name: options.get(name) for name in ("chooser", "text", "question")})


def from_file(data: bytes, *, source_model: str | None) -> Handed:
    """Return the memory in a raw snapshot or .kvz file; a raw one may hold the target's tokens as tensors.

    Raises InvalidInput, DimensionMismatch, ModelNotSupported, TooLarge, or NotFound for a codec profile.
    """
    file = tensors.parse_tensors(data, max_bytes=len(data))
    if file.document.get("kind") == KVZ:
        return _of_model(operations.decoded(file), source_model)
    if (file.document.get("kind"), file.document.get("version")) != (KIND, VERSION):
        raise InvalidInput(f"the file is no memory: its document must say kind {KIND!r} or {KVZ!r}", field="body")
    snapshot, tokens = read_snapshot(file, further=TENSORS, field="body")
    return replace(_of_model(snapshot, source_model), target_tokens=target_tokens(tokens))


def from_arrays(values: Mapping[str, Any], *, source_model: str | None) -> Handed:
    """Return the memory in a JSON request's `kv_cache`. Raises InvalidInput, DimensionMismatch, ModelNotSupported."""
    named = _one_name(values.get("model"), source_model)
    adapter = adapter_of(named)
    keys, held = (numbers(name, values[name], rank=RANK) for name in ("keys", "values"))
    instead = "Send a raw snapshot file, which states its own geometry."
    frame = whole_frame(adapter, keys.shape[1], weights=values.get("weights"), instead=instead)
    known: dict[str, Any] = {}
    if "positions" in values:
        known["positions"] = np.asarray(values["positions"], np.int32)
        known["next_position"] = values.get("next_position", 1 + max(values["positions"], default=0))
    elif "next_position" in values:
        known["next_position"] = values["next_position"]
    if "offsets" in values:
        known["offsets"] = whole_numbers("offsets", values["offsets"])
    return Handed(KVSnapshot(replace(frame, **known), keys, held), adapter)


def tokens_from_file(data: bytes) -> TargetTokens | None:
    """Return the target's tokens in a file that comes beside a stored memory's id. Raises InvalidInput."""
    file = tensors.parse_tensors(data, max_bytes=len(data))
    if file.document != DOCUMENT:
        raise InvalidInput(
            "beside a stored memory's id the body must hold the target's tokens alone: its document must be "
            f"{DOCUMENT}",
            resolution="Leave `memory` out to hand over the memory in the body.",
            field="body",
        )
    if strangers := sorted(set(file.tensors) - set(TENSORS)):
        raise InvalidInput(
            f"a file of the target's tokens has no tensor {strangers[0]!r}; known are {', '.join(TENSORS)}",
            field="body",
        )
    return target_tokens({name: file.read(name) for name in file.tensors})


def target_tokens(values: Mapping[str, Any]) -> TargetTokens | None:
    """Return the target's tokens among parameters or tensors. Raises InvalidInput where they came without spans."""
    given = {name: values[name] for name in TENSORS if name in values}
    if given and "target_spans" not in given:
        raise InvalidInput(f"{next(iter(given))} means nothing without target_spans", field="target_spans")
    if not given:
        return None
    layer = given.pop("target_first_layer", None)
    arrays: dict[str, Array] = {name: whole_numbers(name, value) for name, value in given.items()}
    return TargetTokens(
        spans=arrays["target_spans"],
        ids=arrays.get("target_ids"),
        source_spans=arrays.get("source_spans"),
        first_layer=None if layer is None else numbers("target_first_layer", layer, rank=FIRST_LAYER_RANK),
        reread=arrays.get("reread_positions"),
    )


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


def _of_model(snapshot: KVSnapshot, source_model: str | None) -> Handed:
    frame = snapshot.frame
    adapter = adapter_of(_one_name(frame.model, source_model))
    return Handed(replace(snapshot, frame=replace(frame, model=adapter.model)), adapter)


def _one_name(said: str | None, asked: str | None) -> str:
    """Return the source model's name. Raises InvalidInput if neither memory nor request names it, or they differ."""
    if said is None and asked is None:
        raise InvalidInput("neither the request nor the memory names the source model", field="source_model")
    if said is not None and asked is not None and adapter_of(said).model != adapter_of(asked).model:
        raise InvalidInput(
            f"the memory is of {said}, the request says {asked}",
            resolution="Leave source_model out, or give the memory of that model.",
            field="source_model",
        )
    return said if said is not None else str(asked)
