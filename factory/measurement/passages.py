"""Passages to measure retention on: a context that both models have read, and the continuation that is scored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from awareness_sdk.first_layer import first_layer_of
from factory.corpora import Document
from factory.progress import Progress
from factory.runners.model import Encoding, RunningModel
from kvcache.exchange.placement import TargetTokens, causal_pairs
from kvcache.rows import rows_in
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

CONTINUATION_TOKENS = 64  # the first is not scored
MAX_CONTEXT_TOKENS = 256
MIN_CONTEXT_TOKENS = 96


@dataclass(frozen=True, slots=True)
class Passage:
    """One document's context, as both models cached it, and the continuation that is scored.

    `source` and `own` are the complete KV-caches of source and target, BOS first. `context`, `continuation` and
    `tokens` are in the target's tokens; `tokens` holds their spans in the context and their first-layer rows.
    """

    document: str
    context: tuple[int, ...]
    continuation: tuple[int, ...]
    tokens: TargetTokens
    source: KVSnapshot
    own: KVSnapshot

    @property
    def source_rows(self) -> Array:
        """Rows `[context, ds]` of the source: the causal partner (`causal_pairs`) of each target token."""
        assert self.source.frame.offsets is not None
        return rows_in(self.source)[causal_pairs(self.source.frame.offsets[1:], self.tokens.spans)]

    @property
    def own_rows(self) -> Array:
        """Rows `[1 + context, dt]` of the target's own cache, BOS first."""
        return rows_in(self.own)

    @property
    def first_layer(self) -> Array:
        """Keys (without RoPE) and values of each token in the target's first layer, `[context, w]`."""
        assert self.tokens.first_layer is not None
        return self.tokens.first_layer

    def known(self, *, by_tokens: bool = True, leave: int = 0) -> TargetTokens:
        """Return the target's tokens but the last `leave`, as a receiver sends them; first layer if `by_tokens`."""
        told = slice(0, len(self.context) - leave)
        return TargetTokens(
            self.tokens.spans[told],
            ids=np.array(self.context[told]),
            first_layer=self.first_layer[told] if by_tokens else None,
        )


def read_passage(document: Document, *, source: RunningModel, target: RunningModel) -> Passage | None:
    """Return the passage of a document's last tokens, read by both models; None if the document is too short."""
    encoding = target.encode(document.text)
    end = len(encoding.ids) - CONTINUATION_TOKENS
    if end < MIN_CONTEXT_TOKENS:
        return None
    start = max(0, end - MAX_CONTEXT_TOKENS)
    text_start, text_end = encoding.spans[start][0], encoding.spans[end - 1][1]
    ids = encoding.ids[start:end]
    spans = tuple((first - text_start, last - text_start) for first, last in encoding.spans[start:end])
    return Passage(
        document=document.digest[:16],
        context=ids,
        continuation=encoding.ids[end:],
        tokens=TargetTokens(np.array(spans), first_layer=first_layer_of(target.network, ids)),
        source=source.remember(source.encode(document.text[text_start:text_end])),
        own=target.remember(Encoding(ids, spans)),
    )


def read_passages(
    documents: Sequence[Document], *, source: RunningModel, target: RunningModel, wanted: int, progress: Progress
) -> list[Passage]:
    """Read documents in order until `wanted` passages are reached, or none is left."""
    passages: list[Passage] = []
    for document in documents:
        progress(len(passages), wanted)
        if len(passages) == wanted:
            break
        if passage := read_passage(document, source=source, target=target):
            passages.append(passage)
    progress(len(passages), len(passages))
    return passages


def require_enough(passages: Sequence[Passage], *, scored_tokens: int) -> None:
    """Raise InvalidInput where the passages hold fewer scored continuation tokens than were asked for."""
    found = sum(len(passage.continuation) - 1 for passage in passages)
    if found < scored_tokens:
        raise InvalidInput(
            f"the held-out documents give {found} scored tokens in {len(passages)} passages, not {scored_tokens}",
            resolution="Use a larger corpus or ask for fewer test samples.",
            field="test_samples",
        )


def passages_for(scored_tokens: int) -> int:
    """Return how many passages hold at least that many scored continuation tokens."""
    return -(-scored_tokens // (CONTINUATION_TOKENS - 1))
