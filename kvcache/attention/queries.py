"""A model's attention rules (scale, softcap, ALiBi, MLA, prefix-LM), and the check of a caller's queries.

ALiBi lowers a logit by slope * distance. MLA's key is the rope key and the latent, concatenated. A prefix-LM's queries
see the whole prompt. Plain arrays are one head with the scale 1 / sqrt(head_dim), whatever the model.
"""

from dataclasses import dataclass

import numpy as np

from kvcache.adapters import ModelAdapter
from kvcache.kernels import rotary
from kvcache.kernels.attention import alibi_slopes
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array, numbers


@dataclass(frozen=True, slots=True)
class AttentionRules:
    """How a model computes attention logits from queries and cached keys, and which tokens a query sees."""

    scale: float  # of dot products
    softcap: float | None  # of logits
    alibi: bool
    latent: bool  # MLA: what is cached as a value is part of the key too
    causal: bool  # False: a query sees every cached token

    def keys(self, snapshot: KVSnapshot) -> Array:
        """Return the keys `[layers, tokens, heads, dim]` that queries are multiplied with."""
        return np.concatenate([snapshot.keys, snapshot.values], -1) if self.latent else snapshot.keys

    def slopes(self, heads: int) -> Array:
        """Return by how much each query head's logits fall per position of distance, float32 `[heads]`."""
        return alibi_slopes(heads) if self.alibi else np.zeros(heads, np.float32)


def attention_rules(frame: SnapshotFrame, adapter: ModelAdapter) -> AttentionRules:
    """Return how the adapter's model attends to the tokens of a frame."""
    kind, scale = (None, None) if frame.is_plain else (adapter.attention_type, adapter.scale)
    return AttentionRules(
        scale=float(frame.geometry.head_dim**-0.5) if scale is None else scale,
        softcap=adapter.softcap,
        alibi=kind == "alibi",
        latent=kind == "mla",
        causal=kind != "prefix-lm",
    )


def check_queries(
    queries: object,
    positions: object | None,
    *,
    frame: SnapshotFrame,
    adapter: ModelAdapter,
    rope_applied: bool = True,
) -> tuple[Array, Array]:
    """Return queries `[layers, n, query_heads, dim]` with RoPE applied, float32, and their positions `[n]`, int32.

    Without positions they are those of the last n tokens before `next_position`. Raises InvalidInput or
    DimensionMismatch naming the field.
    """
    array = numbers("queries", queries, rank=4)
    layers, count, heads, width = array.shape
    geometry = frame.geometry
    latent_width = geometry.value_width if attention_rules(frame, adapter).latent else 0
    wanted = geometry.head_dim + latent_width
    if (layers, width) != (geometry.layers, wanted):
        raise DimensionMismatch(
            f"queries has the shape {array.shape}; it must be [{geometry.layers}, n, query heads, {wanted}]",
            resolution="Give queries of the model and layers that the keys come from.",
            field="queries",
        )
    known = None if frame.is_plain else adapter.query_heads
    if heads % geometry.heads or (known is not None and heads != known):
        allowed = f"{known}" if known is not None else f"a multiple of the {geometry.heads} KV heads"
        raise DimensionMismatch(
            f"queries has {heads} heads; it must have {allowed}",
            resolution="Give the queries of every query head.",
            field="queries",
        )
    at = _positions(positions, count, frame)
    return (array if rope_applied else _rotated(array, at, frame, adapter)), at


def _rotated(queries: Array, positions: Array, frame: SnapshotFrame, adapter: ModelAdapter) -> Array:
    if not frame.is_plain and adapter.rotation == "kept":
        raise InvalidInput(
            f"rope_applied is false, but the rotation of {adapter.model} is not one that can be applied here; "
            "give queries with RoPE applied",
            field="rope_applied",
        )
    return rotary.rotated(queries, positions, geometry=frame.geometry)


def _positions(given: object | None, count: int, frame: SnapshotFrame) -> Array:
    if given is None:
        return np.maximum(frame.next_position - count + np.arange(count), 0).astype(np.int32)
    positions = np.asarray(given)
    if positions.shape != (count,) or positions.dtype.kind not in "iu":
        raise InvalidInput(
            f"query_positions has the shape {positions.shape} of {positions.dtype}; it must be {count} whole numbers",
            field="query_positions",
        )
    if positions.min() < frame.positions[0]:
        raise InvalidInput(
            f"query_positions holds {positions.min()}; a query before the first cached token, "
            f"{frame.positions[0]}, sees nothing",
            field="query_positions",
        )
    return positions.astype(np.int32)
