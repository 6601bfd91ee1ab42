"""Attention mass over a stream, in constant memory: only the tokens that may still be kept are held.

Every chunk's queries add to the mass of all tokens held. Beyond the capacity the least attended ones are evicted for
good, as heavy-hitter caches do (H2O, arXiv 2306.14048); the mass they held counts as lost.
"""

import numpy as np

from kvcache.adapters import ModelAdapter
from kvcache.attention.queries import check_queries
from kvcache.attention.selection import keep, token_mass
from kvcache.compression.plan import Threshold, token_bounds
from kvcache.streaming.chunks import Chunk, join
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array


class RunningAttention:
    """The candidates of a selection and the attention that each received so far."""

    def __init__(self, adapter: ModelAdapter, selection: Threshold, *, rope_applied: bool) -> None:
        self._adapter = adapter
        self._selection = selection
        self._rope_applied = rope_applied
        self._candidates: KVSnapshot | None = None
        self._mass = np.zeros(0)
        self._queries = 0
        self._tokens = 0

    @property
    def held(self) -> int:
        """Tokens held at the moment; never more than `max_tokens` after a chunk."""
        return 0 if self._candidates is None else self._candidates.frame.tokens

    def add(self, chunk: Chunk) -> None:
        """Add a chunk's tokens and the attention of its queries, and evict tokens beyond the capacity."""
        frame = chunk.snapshot.frame
        held = chunk.snapshot if self._candidates is None else join([self._candidates, chunk.snapshot])
        mass = np.concatenate([self._mass, np.zeros(frame.tokens)])
        if chunk.queries is not None:
            queries, positions = check_queries(
                chunk.queries,
                chunk.query_positions,
                frame=held.frame,
                adapter=self._adapter,
                rope_applied=self._rope_applied,
            )
            mass += len(positions) * token_mass(held, queries, positions, adapter=self._adapter)
            self._queries += len(positions)
        self._tokens += frame.tokens
        self._candidates, self._mass = self._within_capacity(held, mass)

    def finish(self) -> tuple[Array, float]:
        """Return the positions to keep, ascending, and the share of all attention that they received."""
        if self._candidates is None or not self._queries:
            raise InvalidInput(
                "a selection weighs tokens by the attention that queries pay them, and no chunk came with queries",
                resolution="Give queries with the chunks, or use a target without selection.",
                field="queries",
            )
        least, most = token_bounds(self._selection, self._adapter, tokens=self._tokens)
        share = float(self._mass.sum()) / self._queries  # the rest was lost with the evicted tokens
        kept, coverage = keep(self._mass, min(1.0, self._selection.coverage / share), least, most)
        return self._candidates.frame.positions[kept], coverage * share

    def _within_capacity(self, held: KVSnapshot, mass: Array) -> tuple[KVSnapshot, Array]:
        most = self._selection.max_tokens or self._adapter.max_tokens
        if held.frame.tokens <= most:
            return held, mass
        kept, _ = keep(mass, 1.0, most, most)
        return held.select(kept), mass[kept]
