"""How much attention every cached token gets from given queries: softmax(q k / sqrt(d)), per layer and head."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from latentmas.protocol.tensors import Array as NumpyArray

LEAST, TINY = np.finfo(np.float32).min, np.finfo(np.float32).tiny
PADDING = -1  # the position of a token or query that only fills up a bucket


@ft.partial(jax.jit, static_argnames="softcap")
def attention_mass(
    keys: Float[Array, "layers tokens heads dim"],
    queries: Float[Array, "layers queries query_heads dim"],
    positions: Int[Array, " tokens"],
    query_positions: Int[Array, " queries"],
    *,
    scale: float | Float[Array, ""],
    windows: Int[Array, " layers"],
    starts: Int[Array, " layers"],
    slopes: Float[Array, " query_heads"],
    causal: bool | Bool[Array, ""] = True,
    softcap: float | None = None,
) -> Float[Array, "layers query_heads tokens"]:
    """Return the mass of every token, averaged over the queries; it sums to 1 for each layer and head.

    A query sees the tokens of its layer from the index `starts` on, up to its own position where `causal`, and fewer
    than `windows` positions away. Queries that see nothing do not count; a layer that none sees has the mass 0. Query
    heads share keys in groups (GQA). `slopes` are those of ALiBi, 0 without it. Keys and queries carry RoPE already.
    """
    distance = query_positions[:, None] - positions[None]
    valid = (
        (query_positions[:, None] > PADDING) & (positions[None] > PADDING) & ((distance >= 0) | ~jnp.asarray(causal))
    )

    def of_layer(layer: tuple[Array, Array, Array, Array]) -> Array:
        key, query, window, start = layer
        grouped = query.reshape(len(query), key.shape[1], -1, query.shape[-1])
        scores = jnp.einsum("nkgd,tkd->kgnt", grouped, key) * scale
        scores = scores if softcap is None else softcap * jnp.tanh(scores / softcap)
        bias = slopes.reshape(*scores.shape[:2], 1, 1) * jnp.abs(distance)[None, None].astype(slopes.dtype)
        seen = valid & (jnp.abs(distance) < window) & (jnp.arange(len(key)) >= start)[None]
        return _mean_softmax(scores - bias, seen).reshape(query.shape[1], len(key))

    return jnp.asarray(jax.lax.map(of_layer, (keys, queries, windows, starts)))


def _mean_softmax(
    scores: Float[Array, "heads group queries tokens"], seen: Bool[Array, "queries tokens"]
) -> Float[Array, "heads group tokens"]:
    masked = jnp.where(seen[None, None], scores, -jnp.inf)
    largest = jnp.maximum(masked.max(axis=-1, keepdims=True), LEAST)  # -inf for a query that sees nothing
    weights = jnp.exp(masked - largest)
    weights = weights / jnp.maximum(weights.sum(axis=-1, keepdims=True), TINY)
    queries = jnp.maximum(seen.any(axis=1).sum(), 1)
    return weights.sum(axis=2) / queries.astype(weights.dtype)


def alibi_slopes(heads: int) -> NumpyArray:
    """Return the slope of every query head (arXiv 2108.12409, with its interleaving for other than powers of two)."""
    below = 1 << (heads.bit_length() - 1)
    slopes = 2.0 ** (-8.0 * np.arange(1, below + 1) / below)
    between = 2.0 ** (-4.0 * np.arange(1, 2 * below, 2) / below)
    return np.concatenate([slopes, between[: heads - below]]).astype(np.float32)
