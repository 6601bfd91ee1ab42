"""Select the tokens of a snapshot that given queries attend to most, by the model's attention rules.

Threshold selection after H2O (arXiv 2306.14048): the fewest tokens that cover a share of the attention.
"""

import functools as ft
import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from kvcache.adapters import ModelAdapter
from kvcache.attention.queries import attention_rules, check_queries
from kvcache.kernels.attention import PADDING, attention_mass
from kvcache.kernels.tiles import bucket
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import MAX_POSITION, KVSnapshot
from latentmas.protocol.tensors import Array

# threshold, least and most tokens -> the kept tokens' ascending indices and the attention mass they hold
Choose: TypeAlias = Callable[[float, int, int], tuple[Array, float]]
SMALLEST_QUERIES = 8  # padded number of queries; a decoding step has one
SINKS = 4  # arXiv 2309.17453: the first tokens hold attention that has nowhere else to go
RECENT = 4
ROUNDING = 1e-9


class Selection(NamedTuple):
    """Ascending indices of the kept tokens, and the share of the attention mass they cover."""

    kept: Array  # int64 [kept]
    coverage: float


def selector(
    snapshot: KVSnapshot,
    queries: object,
    query_positions: object | None = None,
    *,
    adapter: ModelAdapter,
    rope_applied: bool = True,
) -> Choose:
    """Return a function that selects tokens by their attention mass, which is computed once, on its first call.

    Raises InvalidInput or DimensionMismatch for queries that do not fit.
    """
    array, positions = check_queries(
        queries, query_positions, frame=snapshot.frame, adapter=adapter, rope_applied=rope_applied
    )

    @ft.cache
    def mass() -> Array:
        return token_mass(snapshot, array, positions, adapter=adapter)

    return lambda threshold, least, most: keep(mass(), threshold, least, most)


def keep(mass: Array, threshold: float, least: int, most: int) -> Selection:
    """Return the ascending indices of the fewest tokens within the bounds, and the share of the mass they hold."""
    return select_tokens(mass, threshold=threshold, min_tokens=least, max_tokens=most)


def coverage_of(
    snapshot: KVSnapshot, kept_positions: Array, queries: Array, positions: Array, *, adapter: ModelAdapter
) -> float:
    """Return the share of the attention that the tokens at the kept positions get."""
    mass = token_mass(snapshot, queries, positions, adapter=adapter)
    return float(mass[np.isin(snapshot.frame.positions, kept_positions)].sum())


def token_mass(snapshot: KVSnapshot, queries: Array, positions: Array, *, adapter: ModelAdapter) -> Array:
    """Return the attention mass `[tokens]`, the mean over heads and the layers that see anything; it sums to 1.

    Queries are as `check_queries` returns them. Raises InvalidInput where they see nothing or overflow.
    """
    frame, rules = snapshot.frame, attention_rules(snapshot.frame, adapter)
    size, asked = bucket(frame.tokens), bucket(len(positions), least=SMALLEST_QUERIES)
    mass = attention_mass(
        _padded(rules.keys(snapshot), size),
        _padded(queries, asked),
        _padded_positions(frame.positions, size),
        _padded_positions(positions, asked),
        scale=np.float32(rules.scale),
        windows=np.array([MAX_POSITION if window is None else window for window in frame.geometry.windows], np.int32),
        starts=np.array(frame.starts, np.int32),
        slopes=rules.slopes(queries.shape[2]),
        causal=rules.causal,
        softcap=rules.softcap,
    )
    return _mean(np.asarray(mass)[..., : frame.tokens])


def select_tokens(
    mass: Array,
    *,
    threshold: float,
    sinks: int = SINKS,
    recent: int = RECENT,
    min_tokens: int = 1,
    max_tokens: int | None = None,
) -> Selection:
    """Return the fewest tokens whose mass reaches `threshold` of the whole, given a mass `[tokens]`.

    The first `sinks` and the last `recent` tokens are always among them, and never fewer than `min_tokens`. Where
    `max_tokens` is too few, sinks precede recent tokens and these the mass; `coverage` is what was reached.
    """
    tokens = len(mass)
    limit = tokens if max_tokens is None else min(max_tokens, tokens)
    order = _preference(mass, sinks=sinks, recent=recent)
    reached = np.cumsum(mass[order], dtype=np.float64)
    whole = reached[-1] if reached[-1] > 0 else 1.0
    enough = 1 + int(np.searchsorted(reached, (threshold - ROUNDING) * whole))
    protected = min(tokens, sinks + recent)
    count = min(max(enough, min_tokens, protected), limit)
    return Selection(np.sort(order[:count]), float(min(1.0, reached[count - 1] / whole)))


def _preference(mass: Array, *, sinks: int, recent: int) -> Array:
    """Indices in the order in which tokens are kept: sinks, recent ones from the last backwards, then by mass."""
    tokens = len(mass)
    first = np.arange(min(sinks, tokens))
    last = np.arange(tokens - 1, max(tokens - recent, len(first)) - 1, -1)
    middle = np.arange(len(first), tokens - len(last))
    return np.concatenate([first, last, middle[np.argsort(-mass[middle], kind="stable")]])


def _mean(mass: Array) -> Array:
    per_token = mass.sum(axis=(0, 1), dtype=np.float64)
    whole = float(per_token.sum())
    if not math.isfinite(whole):
        raise InvalidInput("the attention scores overflow float32; keys or queries are too large", field="queries")
    if not whole > 0:
        raise InvalidInput("the queries see none of the cache's tokens", field="query_positions")
    return np.asarray(per_token / whole)


def _padded(array: Array, size: int) -> Array:
    """Return float32 `[layers, size, ...]`, filled up with zeros."""
    padded = np.zeros((len(array), size, *array.shape[2:]), np.float32)
    padded[:, : array.shape[1]] = array
    return padded


def _padded_positions(positions: Array, size: int) -> Array:
    return np.pad(positions.astype(np.int32), (0, size - len(positions)), constant_values=PADDING)
