"""The attention output of given queries over a cache, and its error against the output over the original cache."""

from dataclasses import dataclass, replace

import numpy as np

from kvcache.adapters import ModelAdapter
from kvcache.attention.queries import AttentionRules, attention_rules
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

BLOCK = 128  # queries at once: scores of one layer take heads * BLOCK * tokens floats


@dataclass(frozen=True, slots=True)
class OutputError:
    """Error of attention outputs, averaged over the layers; 0 is lossless.

    `relative` is |o' - o| / |o|, norms taken over queries and heads; `lost` is its square: the share of the output's
    energy that is lost, with which the divergence of the model's predictions grows.
    """

    relative: float
    lost: float


def output_error(
    compressed: KVSnapshot, original: KVSnapshot, queries: Array, positions: Array, *, adapter: ModelAdapter
) -> OutputError | None:
    """Return the error of the queries' attention output over a compressed cache; None where no query sees any token.

    A query at a cached position does not see later tokens.
    """
    errors = []
    for exact, lossy in zip(
        attention_output(original, queries, positions, adapter=adapter),
        attention_output(compressed, queries, positions, adapter=adapter),
        strict=True,
    ):
        if (size := float(np.linalg.norm(exact))) > 0:
            errors.append(float(np.linalg.norm(lossy - exact)) / size)
    return OutputError(float(np.mean(errors)), float(np.mean(np.square(errors)))) if errors else None


def attention_output(snapshot: KVSnapshot, queries: Array, positions: Array, *, adapter: ModelAdapter) -> list[Array]:
    """Return each layer's attention output `[n, query_heads, value_width]`; zero for a query that sees no token.

    Queries are as `check_queries` returns them.
    """
    rules = attention_rules(snapshot.frame, adapter)
    wide, asked, at = attended(snapshot, queries, positions, adapter=adapter)
    layers = range(snapshot.frame.geometry.layers)
    return [
        np.concatenate(
            [
                _layer_output(wide, layer, asked[layer, part], at[part], rules)
                for part in (slice(start, start + BLOCK) for start in range(0, len(at), BLOCK))
            ]
        )
        for layer in layers
    ]


def _layer_output(snapshot: KVSnapshot, layer: int, queries: Array, positions: Array, rules: AttentionRules) -> Array:
    heads = snapshot.frame.geometry.heads
    count, query_heads, dim = queries.shape
    keys = np.asarray(snapshot.keys[layer], np.float32).transpose(1, 2, 0)  # [heads, dim, tokens]
    values = np.asarray(snapshot.values[layer], np.float32).transpose(1, 0, 2)  # [heads, tokens, value_width]
    grouped = queries.reshape(count, heads, query_heads // heads, dim).transpose(1, 2, 0, 3)
    logits = grouped.reshape(heads, -1, dim) @ keys * rules.scale  # query heads of a group share a KV head
    if rules.softcap is not None:
        logits = rules.softcap * np.tanh(logits / rules.softcap)
    seen = np.tile(_visible(snapshot, layer, positions), (query_heads // heads, 1))[None]
    logits = np.where(seen, logits, -np.inf)
    peak = logits.max(-1, keepdims=True)
    weights = np.exp(logits - np.where(np.isfinite(peak), peak, 0))
    total = weights.sum(-1, keepdims=True)
    output = (weights @ values) / np.where(total > 0, total, 1)
    shape = (heads, query_heads // heads, count, output.shape[-1])
    return np.asarray(output.reshape(shape).transpose(2, 0, 1, 3).reshape(count, query_heads, -1))


def _visible(snapshot: KVSnapshot, layer: int, positions: Array) -> Array:
    """Return `[n, tokens]`: which cached tokens each query sees in a layer."""
    frame = snapshot.frame
    seen = frame.positions[None] <= positions[:, None]
    if (window := frame.geometry.windows[layer]) is not None:
        seen &= frame.positions[None] > positions[:, None] - window
    seen[:, : frame.starts[layer]] = False
    return np.asarray(seen)


def attended(
    snapshot: KVSnapshot, queries: Array, query_positions: Array, *, adapter: ModelAdapter
) -> tuple[KVSnapshot, Array, Array]:
    """Return snapshot, queries and positions for which causal scaled dot products are the model's logits.

    ALiBi's bias becomes one more dimension: the position in the key, the slope in the query.
    """
    rules = attention_rules(snapshot.frame, adapter)
    if not rules.causal:
        query_positions = np.maximum(query_positions, snapshot.frame.positions[-1])
    if rules.alibi:
        snapshot, queries = _with_slopes(snapshot, queries, rules)
    elif rules.latent:
        snapshot = _with_keys(snapshot, rules.keys(snapshot))
    return snapshot, queries, query_positions


def _with_slopes(snapshot: KVSnapshot, queries: Array, rules: AttentionRules) -> tuple[KVSnapshot, Array]:
    frame = snapshot.frame
    # Softmax is invariant to a constant, so positions may count from the end: small numbers are exact in float32.
    distance = (frame.positions - frame.next_position).astype(np.float32)
    shape = (*snapshot.keys.shape[:3], 1)
    keys = np.concatenate([snapshot.keys, np.broadcast_to(distance[None, :, None, None], shape)], -1)
    slope = (rules.slopes(queries.shape[2]) / rules.scale).astype(np.float32)
    bias = np.broadcast_to(slope[None, None, :, None], (*queries.shape[:3], 1))
    return _with_keys(snapshot, keys), np.concatenate([queries, bias], -1)


def _with_keys(snapshot: KVSnapshot, keys: Array) -> KVSnapshot:
    """Return the snapshot with other keys; its geometry states the value width, which no longer equals the key's."""
    geometry = snapshot.frame.geometry
    wide = replace(geometry, head_dim=keys.shape[-1], value_dim=geometry.value_width)
    return KVSnapshot(replace(snapshot.frame, geometry=wide), keys.astype(np.float32), snapshot.values)
