"""Held-out passages: a context that both models have read, and the continuation that is scored."""

from collections.abc import Sequence
from dataclasses import dataclass

from factory.corpora import Document
from factory.progress import Progress
from factory.runners.model import Encoding, RunningModel
from kvcache.exchange.pairing import causal_pairs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

CONTINUATION_TOKENS = 64  # the first is not scored
MAX_CONTEXT_TOKENS = 256
MIN_CONTEXT_TOKENS = 96


@dataclass(frozen=True, slots=True)
class Passage:
    """One document's context and continuation in the target's tokens, and both models' rows of the context.

    `source_rows` `[context, ds]` has one row per *target* token: its causal partner. `own_rows` `[1 + context, dt]` is
    the target's own cache, BOS first; `first_layer` `[context, w]` is what its first layer keeps of each token.
    """

    document: str
    context: tuple[int, ...]
    continuation: tuple[int, ...]
    source_rows: Array
    own_rows: Array
    first_layer: Array


def read_passage(document: Document, *, source: RunningModel, target: RunningModel) -> Passage | None:
    """Let both models read a document's context; None where the document is too short."""
    encoding = target.encode(document.text)
    end = len(encoding.ids) - CONTINUATION_TOKENS
    if end < MIN_CONTEXT_TOKENS:
        return None
    start = max(0, end - MAX_CONTEXT_TOKENS)
    text_start, text_end = encoding.spans[start][0], encoding.spans[end - 1][1]
    theirs = source.encode(document.text[text_start:text_end])
    pairs = causal_pairs(theirs.spans, _shifted(encoding, start, end, text_start))
    context = encoding.ids[start:end]
    own_rows = target.capture(context)
    return Passage(
        document=document.digest[:16],
        context=context,
        continuation=encoding.ids[end:],
        source_rows=source.capture(theirs.ids)[pairs],
        own_rows=own_rows,
        first_layer=own_rows[1:, : target.geometry.layer_width],
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


def _shifted(encoding: Encoding, start: int, end: int, offset: int) -> list[tuple[int, int]]:
    return [(first - offset, last - offset) for first, last in encoding.spans[start:end]]
