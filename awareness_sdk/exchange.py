"""Align a memory to another model: `client.align_kv_cache(kv_cache, "smollm2-135m", "gemma-3-270m")`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from awareness_sdk import snapshots
from awareness_sdk.metrics import RESULT_HEADER, result_of
from awareness_sdk.transport import SAFETENSORS, Transport
from latentmas.protocol.snapshot import KVSnapshot, read_snapshot, write_snapshot
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from kvcache.exchange.placement import TargetTokens

Result = dict[str, Any]
ALIGN = "/api/latentmas/kv-cache/align"
PROTOCOL = "LatentMAS/2.0"
WHOLE = ("target_spans", "target_ids", "source_spans", "reread_positions")
KNOWN = ("text", "question", "surprisal", "attention", "embed")  # what a chooser looks at; none of it is sent
FIRST_LAYER = "target_first_layer"


def align_kv_cache(
    transport: Transport, kv_cache: Any, *, adapter: Callable[[str], Mapping[str, Any]], options: Mapping[str, Any]
) -> Result:
    """Send a memory in any of the accepted forms; return the aligned one with its quality.

    `adapter` returns the server's facts about a model, whose geometry plain arrays need.
    """
    from kvcache.exchange.target_file import write_target_tokens

    tokens, others = _tokens(options)
    reading = _chosen(tokens, others)
    params = {"protocol": PROTOCOL} | {name: value for name, value in others.items() if value is not None}
    memory = _memory_id(kv_cache)
    if memory is not None and not tokens:
        response = transport.send("POST", ALIGN, body=params | {"memory": memory}, accept=SAFETENSORS)
    elif memory is not None:
        params["memory"] = memory
        content = write_target_tokens(tokens)
        response = transport.send("POST", ALIGN, content=content, params=params, accept=SAFETENSORS)
    else:
        content = _file(kv_cache, tokens, options["source_model"], adapter)
        response = transport.send("POST", ALIGN, content=content, params=params, accept=SAFETENSORS)
    aligned, _ = read_snapshot(response.content)
    result = result_of(response.headers[RESULT_HEADER]) | {"aligned_kv_cache": aligned}
    return result if reading is None else result | {"reread": reading}


def _tokens(options: Mapping[str, Any]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Split options into the target's tokens as tensors, given together or one by one, and the others."""
    from kvcache.exchange.target_file import arrays_of

    others = dict(options)
    together: TargetTokens | None = others.pop("target_tokens", None)
    given = {name: others.pop(name, None) for name in (*WHOLE, FIRST_LAYER)}
    if together is not None:
        if any(value is not None for value in given.values()):
            raise ValueError("give the target's tokens together, as target_tokens, or one by one")
        given |= arrays_of(together)
    arrays = {name: np.asarray(given[name], np.int32) for name in WHOLE if given[name] is not None}
    if given[FIRST_LAYER] is not None:
        layer = np.asarray(given[FIRST_LAYER])
        arrays[FIRST_LAYER] = layer if layer.dtype == np.float16 else layer.astype(np.float32)
    return arrays, others


def _chosen(tokens: dict[str, Array], others: dict[str, Any]) -> Result | None:
    """Choose what the target reads itself, here, where the text is known, and add the positions to its tokens."""
    from kvcache.exchange.placement import TargetTokens
    from kvcache.exchange.rereading import Context
    from kvcache.exchange.rereading.choosing import Budget, choose

    known = {name: others.pop(name, None) for name in KNOWN}
    share, count, chooser = (others.pop(name, None) for name in ("reread", "reread_tokens", "chooser"))
    if share is None and count is None:
        if any(value is not None for value in (*known.values(), chooser)):
            raise ValueError("say how much the target may read itself: reread, a share, or reread_tokens")
        return None
    if "target_spans" not in tokens:
        raise ValueError("what the target reads itself is chosen among its own tokens: give target_tokens")
    spans = TargetTokens(tokens["target_spans"]).text_spans
    found = choose(Context(spans, **known), Budget(share=share, tokens=count), chooser=chooser)
    if len(found.positions):
        tokens["reread_positions"] = found.positions
    return {"chooser": found.chooser, "positions": found.positions.tolist(), "tokens": found.tokens}


def _memory_id(kv_cache: Any) -> str | None:
    """Return the id if a stored memory was given by its id or its document, else None."""
    if isinstance(kv_cache, str):
        return kv_cache
    return str(kv_cache["id"]) if isinstance(kv_cache, Mapping) and "id" in kv_cache else None


def _file(kv_cache: Any, tokens: Mapping[str, Array], model: str, adapter: Callable[[str], Mapping[str, Any]]) -> bytes:
    """Return the memory as a file. Raises ValueError for anything that is not a memory."""
    data = kv_cache.get("compressed") if isinstance(kv_cache, Mapping) else kv_cache
    if isinstance(data, bytes):
        if tokens:
            raise ValueError("a file cannot carry the target's tokens; upload it with client.memories, and give its id")
        return data
    if isinstance(kv_cache, KVSnapshot):
        return write_snapshot(kv_cache, **tokens)
    if not isinstance(kv_cache, Mapping) or not {"keys", "values"} <= set(kv_cache):
        raise ValueError(
            f"a {type(kv_cache).__name__} is no memory; give a snapshot, its file, arrays or a memory's id"
        )
    weights = kv_cache.get("weights")
    snapshot = snapshots.model_snapshot(kv_cache["keys"], kv_cache["values"], adapter=adapter(model), weights=weights)
    return write_snapshot(snapshot, **tokens)
