"""The fewest tokens that cover a share of the attention (threshold selection, after H2O, arXiv 2306.14048)."""

from typing import NamedTuple

import numpy as np

from latentmas.protocol.tensors import Array

SINKS = 4  # arXiv 2309.17453: the first tokens hold attention that has nowhere else to go
RECENT = 4
ROUNDING = 1e-9


class Selection(NamedTuple):
    """Ascending indices of the kept tokens, and the share of the attention mass they cover."""

    kept: Array  # int64 [kept]
    coverage: float


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
