"""Memories for the demonstration: read a text into a cache, pack it as a `.kvz` file, open it again."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from awareness_sdk.latent_rollout import Realignment, roll_out
from factory.runners.model import RunningModel
from kvcache.adapters import ModelAdapter
from kvcache.compression.compressor import compress, decompress
from latentmas.protocol.snapshot import KVSnapshot

if TYPE_CHECKING:
    from kvcache.coding.profile import OpenedProfile

MS_PER_SECOND = 1000.0
NOT_SELECTED = 1.0  # tokens are chosen only where queries are given


@dataclass(frozen=True, slots=True)
class Packed:
    """A `.kvz` file and the cost of packing it; `raw_bytes` is the size of the cache at float16."""

    data: bytes
    profile: "OpenedProfile | None"
    method: str
    tokens: int
    raw_bytes: int
    packing_ms: float


def adapter_of(model: RunningModel) -> ModelAdapter:
    """Return an adapter to compress a loaded model's cache without queries, from its configuration alone."""
    config = model.network.config
    return ModelAdapter(
        model=model.name,
        family=config.model_type,
        attention_type="sliding-window" if any(model.geometry.windows) else "causal",
        position_encoding="rope",
        rotation="undone" if model.geometry.rotary_dim else "none",
        geometry=model.geometry,
        query_heads=config.num_attention_heads,
        scale=None,
        softcap=None,
        recommended_threshold=NOT_SELECTED,
    )


def read_memory(model: RunningModel, text: str) -> KVSnapshot:
    """Return the model's uncropped cache of BOS and a text, with the tokens' spans and the text's digest."""
    return _of_text(model.remember(model.encode(text)), text)


def think_about(model: RunningModel, text: str, *, steps: int, realignment: Realignment) -> KVSnapshot:
    """Return the model's uncropped cache of BOS, a text and `steps` latent thoughts after it."""
    ids: Sequence[Sequence[int]] = [[model.bos, *model.encode(text).ids]]
    return _of_text(roll_out(model.network, ids, steps=steps, realignment=realignment)[0], text)


def pack(
    snapshot: KVSnapshot, *, model: RunningModel, method: str = "auto", profile: "OpenedProfile | None" = None
) -> Packed:
    """Compress a snapshot: by transform code if there is a profile, else quantised; "raw" keeps every bit.

    Raises InvalidInput or DimensionMismatch.
    """
    started = time.perf_counter()
    made = compress(snapshot, adapter=adapter_of(model), method=method, profile=profile)
    return Packed(
        data=made.data,
        profile=profile,
        method=made.method,
        tokens=snapshot.frame.tokens,
        raw_bytes=made.metrics.original_bytes,
        packing_ms=MS_PER_SECOND * (time.perf_counter() - started),
    )


def opened(packed: Packed) -> KVSnapshot:
    """Return the snapshot in a packed file."""
    return decompress(packed.data, profile=packed.profile)


def _of_text(snapshot: KVSnapshot, text: str) -> KVSnapshot:
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return KVSnapshot(replace(snapshot.frame, context=digest), snapshot.keys, snapshot.values)
