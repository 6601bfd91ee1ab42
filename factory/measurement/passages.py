"""Passages to measure retention on: a context that both models have read, and the continuation that is scored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factory.corpora import Document
from factory.progress import Progress
from factory.runners.model import Encoding, RunningModel
from kvcache.exchange.placement import TargetTokens, causal_pairs
from kvcache.rows import pack_rows, rows_in
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import DocumentScore
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

CONTINUATION_TOKENS = 64  # the first is not scored
MAX_CONTEXT_TOKENS = 256
MIN_CONTEXT_TOKENS = 96


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """One document's context, as both models cached it, and the continuation that is scored.

    `text` is the context's; `context`, `continuation` and `spans` `[context, 2]`, the characters of each token in it,
    are in the target's tokens. `source` and `own` are the complete KV-caches of source and target, BOS first.
    """

    document: str
    context: tuple[int, ...]
    continuation: tuple[int, ...]
    spans: Array
    text: str
    source: KVSnapshot
    own: KVSnapshot

    @property
    def source_rows(self) -> Array:
        """Rows `[context, ds]` of the source: the causal partner (`causal_pairs`) of each target token."""
        assert self.source.frame.offsets is not None
        return rows_in(self.source)[causal_pairs(self.source.frame.offsets[1:], self.spans)]

    @property
    def own_rows(self) -> Array:
        """Rows `[1 + context, dt]` of the target's own cache, BOS first."""
        return rows_in(self.own)

    def first_layers(self, width: int) -> Array:
        """Rows `[context, width]` of the target's first layers, keys without RoPE.

        A receiver computes the same from the text alone (`awareness_sdk.first_layer`).
        """
        keys, values, frame = self.own.keys, self.own.values, self.own.frame
        layers = -(-width // frame.geometry.layer_width)
        geometry = frame.geometry.first(layers)
        rows = pack_rows(keys[:layers, 1:], values[:layers, 1:], geometry=geometry, positions=frame.positions[1:])
        return rows[:, :width]

    def known(self, *, width: int | None = None, leave: int = 0, reread: Array | None = None) -> TargetTokens:
        """Return the target's tokens but the last `leave`, as a receiver sends them; first layers of a `width`.

        `reread` are the positions of those that it reads itself.
        """
        told = slice(0, len(self.context) - leave)
        return TargetTokens(
            self.spans[told],
            ids=np.array(self.context[told]),
            first_layer=None if width is None else self.first_layers(width)[told],
            reread=reread,
        )


def read_passage(
    document: Document,
    *,
    source: RunningModel,
    target: RunningModel,
    longest: int = MAX_CONTEXT_TOKENS,
    shortest: int = MIN_CONTEXT_TOKENS,
    continuation: int = CONTINUATION_TOKENS,
) -> Passage | None:
    """Return the passage of a document's last tokens, read by both models; None if the document is too short.

    Its context has `shortest` to `longest` of the target's tokens.
    """
    encoding = target.encode(document.text)
    end = len(encoding.ids) - continuation
    if end < shortest:
        return None
    start = max(0, end - longest)
    text_start, text_end = encoding.spans[start][0], encoding.spans[end - 1][1]
    ids, text = encoding.ids[start:end], document.text[text_start:text_end]
    spans = tuple((first - text_start, last - text_start) for first, last in encoding.spans[start:end])
    return Passage(
        document=document.digest[:16],
        context=ids,
        continuation=encoding.ids[end:],
        spans=np.array(spans),
        text=text,
        source=source.remember(source.encode(text)),
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


def require_enough(scores: Sequence[DocumentScore], *, scored_tokens: int) -> None:
    """Raise InvalidInput where fewer continuation tokens were scored than were asked for."""
    found = sum(each.scored_tokens for each in scores)
    if found < scored_tokens:
        raise InvalidInput(
            f"the evaluation suite gives {found} scored tokens in {len(scores)} passages, not {scored_tokens}",
            resolution="Use a larger suite or ask for fewer test samples.",
            field="test_samples",
        )
