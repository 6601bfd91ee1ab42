"""Lessons for the refinement: a stretch of calibration text that both models have read, and how it goes on.

Some go on as the document does, some by quoting the stretch itself: then the target says word for word what it has
read, which takes a memory that knows who and what was named, and not only what the text is about.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory.corpora import Split, TextCorpus
from factory.runners.model import RunningModel
from kvcache.exchange.pairing import causal_pairs
from latentmas.protocol.tensors import Array

CONTEXT_CHARACTERS = (500, 800, 1100, 1300)  # about 100 to 300 tokens of English
CONTINUATION_TOKENS = 64
CONTINUATION_CHARACTERS = 700  # more than that many tokens take
QUOTED = 0.3  # of the stretches
LEAST_QUOTE = 400  # characters


@dataclass(frozen=True, slots=True)
class Stretch:
    """A context, cut at a blank, and the text that follows it: in the same document, or a quote from the context."""

    context: str
    following: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """`source_rows` `[tokens, ds]` are the causal partners of the target's tokens; `own_rows` begin with BOS."""

    source_rows: Array
    own_rows: Array  # [1 + tokens, dt]
    continuation: tuple[int, ...]


def stretches(corpora: Sequence[TextCorpus], *, seed: int) -> Iterator[Stretch]:
    """Yield stretches of the corpora's calibration documents for ever, each corpus as often as any other.

    A corpus that is through begins again in another order. The same seed gives the same stretches.
    """
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    every = [_stretches_of(corpus, generator) for corpus in corpora]
    waiting: list[list[Stretch]] = [[] for _ in every]
    while True:
        for mine, stack in zip(every, waiting, strict=True):
            if not stack:
                stack.extend(mine)
                generator.shuffle(stack)
            yield stack.pop()


def read_lesson(stretch: Stretch, *, source: RunningModel, target: RunningModel) -> Lesson | None:
    """Let both models read a stretch; None where less than a continuation follows it."""
    whole = target.encode(stretch.context + stretch.following)
    tokens = sum(end <= len(stretch.context) for _, end in whole.spans)
    continuation = whole.ids[tokens : tokens + CONTINUATION_TOKENS]
    if len(continuation) < CONTINUATION_TOKENS:
        return None
    theirs = source.encode(stretch.context)
    pairs = causal_pairs(theirs.spans, whole.spans[:tokens])
    return Lesson(source.capture(theirs.ids)[pairs], target.capture(whole.ids[:tokens]), continuation)


def _stretches_of(corpus: TextCorpus, generator: random.Random) -> list[Stretch]:
    found = []
    for document in corpus.part(Split.CALIBRATION):
        start, text = 0, document.text
        while start + CONTEXT_CHARACTERS[0] + CONTINUATION_CHARACTERS // 2 < len(text):
            longest = len(text) - start - CONTINUATION_CHARACTERS // 2
            end = text.rfind(" ", start + 1, start + min(generator.choice(CONTEXT_CHARACTERS), longest))
            if end < 0:
                break
            found.append(_continued(text[start:end], text[end : end + CONTINUATION_CHARACTERS], generator))
            start = end + 1
    return found


def _continued(context: str, following: str, generator: random.Random) -> Stretch:
    if generator.random() >= QUOTED or len(context) <= LEAST_QUOTE:
        return Stretch(context, following)
    blank = context.find(" ", generator.randrange(len(context) - LEAST_QUOTE))
    return Stretch(context, "\n" + context[blank + 1 :][:CONTINUATION_CHARACTERS])
