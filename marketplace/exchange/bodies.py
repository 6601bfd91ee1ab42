"""Read the memory to align from a request, as a file or JSON, and the target's tokens where they are sent with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kvcache.adapters import ModelAdapter
from kvcache.compression.container import KIND as KVZ
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.policy import Decision
from kvcache.server import operations
from kvcache.server.queries import get_adapter
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.protocol.snapshot import KIND, VERSION, KVSnapshot, read_snapshot, whole
from latentmas.protocol.tensors import Array, numbers
from marketplace.exchange.inputs import whole_numbers

RANK = 4
OTHERS = (
    "GET /api/kv-cache/models names the models whose memory can be exchanged; the vectors of others are aligned by "
    "POST /api/latentmas/vectors/align."
)
TARGET_TOKENS = "target-tokens"  # the kind of a file with the tensors below alone
TOKENS = ("target_spans", "target_ids", "source_spans", "target_first_layer")  # further tensors of a raw snapshot file
FIRST_LAYER_RANK = 2


@dataclass(frozen=True, slots=True)
class Handed:
    """A memory to align, under the registry's name of its model, with the model's adapter."""

    snapshot: KVSnapshot
    source: ModelAdapter
    target_tokens: TargetTokens | None = None


def adapter_of(spelling: str) -> ModelAdapter:
    """Return a model's adapter. Raises ModelNotSupported whose resolution is the next call to make."""
    try:
        return get_adapter(spelling)
    except ModelNotSupported as error:
        facts = {**error.facts, "decision": Decision.UNSUPPORTED.value}
        raise ModelNotSupported(error.message, resolution=f"{error.advice} {OTHERS}", **facts) from error


def from_file(data: bytes, *, source_model: str | None) -> Handed:
    """Return the memory in a raw snapshot or .kvz file; a raw one may hold the target's tokens as tensors.

    Raises InvalidInput, DimensionMismatch, ModelNotSupported, TooLarge, or NotFound for a codec profile.
    """
    file = tensors.parse_tensors(data, max_bytes=len(data))
    if file.document.get("kind") == KVZ:
        return _of_model(operations.decoded(file), source_model)
    if (file.document.get("kind"), file.document.get("version")) != (KIND, VERSION):
        raise InvalidInput(f"the file is no memory: its document must say kind {KIND!r} or {KVZ!r}", field="body")
    snapshot, tokens = read_snapshot(file, further=TOKENS, field="body")
    return replace(_of_model(snapshot, source_model), target_tokens=target_tokens(tokens))


def from_arrays(values: Mapping[str, Any], *, source_model: str | None) -> Handed:
    """Return the memory in a JSON request's `kv_cache`. Raises InvalidInput, DimensionMismatch, ModelNotSupported."""
    named = _one_name(values.get("model"), source_model)
    adapter = adapter_of(named)
    keys, held = (numbers(name, values[name], rank=RANK) for name in ("keys", "values"))
    if adapter.geometry is None:
        raise ModelNotSupported(
            f"the cache of {adapter.model} cannot be described: {', '.join(adapter.unknown)} unknown",
            resolution="Send a raw snapshot file, which states its own geometry.",
            model=adapter.model,
        )
    frame = whole(adapter.geometry, keys.shape[1], model=adapter.model, weights=values.get("weights"))
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
    if file.document != (wanted := {"kind": TARGET_TOKENS, "version": 1}):
        raise InvalidInput(
            f"beside a stored memory's id the body must hold the target's tokens alone: its document must be {wanted}",
            resolution="Leave `memory` out to hand over the memory in the body.",
            field="body",
        )
    if strangers := sorted(set(file.tensors) - set(TOKENS)):
        raise InvalidInput(
            f"a file of the target's tokens has no tensor {strangers[0]!r}; known are {', '.join(TOKENS)}",
            field="body",
        )
    return target_tokens({name: file.read(name) for name in file.tensors})


def target_tokens(values: Mapping[str, Any]) -> TargetTokens | None:
    """Return the target's tokens among parameters or tensors. Raises InvalidInput where they came without spans."""
    given = {name: values[name] for name in TOKENS if name in values}
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
    )


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
