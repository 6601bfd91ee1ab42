"""Training examples (lessons) of the refinement: a stretch of text that both models have read, and its continuation."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory import recall
from factory.corpora import Split, TextCorpus
from factory.runners.model import RunningModel
from kvcache.exchange.placement import causal_pairs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

CONTEXT_CHARACTERS = (500, 800, 1100, 1300, 2600, 5200)  # about 100 to 1 200 tokens of English
CONTINUATION_TOKENS = 64
CONTINUATION_CHARACTERS = 700  # more than that many tokens take
RECALL_EVERY = 4  # lessons, of which one is for recall
STATEMENTS = 5  # in such a lesson
LONGEST_BETWEEN = 1_300  # characters of the text between them


@dataclass(frozen=True, slots=True)
class Stretch:
    """A context, cut at a blank, and the text that follows it in the same document."""

    context: str
    following: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """`source_rows` `[tokens, ds]` are the causal partners of the target's tokens; `own_rows` begin with BOS."""

    source_rows: Array
    own_rows: Array  # [1 + tokens, dt]
    continuation: tuple[int, ...]


def stretches(corpora: Sequence[TextCorpus], *, seed: int) -> Iterator[Stretch]:
    """Yield stretches of calibration documents without end, drawing corpora in proportion to the root of their size.

    So a small corpus is neither memorised nor lost among the others. One that is used up begins again in another order.
    The same seed gives the same stretches. Raises InvalidInput where no document is long enough.
    """
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    every = [found for corpus in corpora if (found := _stretches_of(corpus, generator))]
    if not every:
        raise InvalidInput("no calibration document is long enough to learn from", resolution="Use a larger corpus.")
    weights = [math.sqrt(len(found)) for found in every]
    waiting: list[list[Stretch]] = [[] for _ in every]
    while True:
        number = generator.choices(range(len(every)), weights)[0]
        if not waiting[number]:
            waiting[number] = generator.sample(every[number], len(every[number]))
        yield waiting[number].pop()


def for_recall(stretch: Stretch, generator: random.Random) -> Stretch:
    """Return a stretch whose context holds statements between its sentences, and whose text asks for each again."""
    said = recall.statements(STATEMENTS, generator)
    context = recall.between(stretch.context[:LONGEST_BETWEEN], said, generator)
    return Stretch(context, recall.asked(said, generator))


def read_lesson(stretch: Stretch, *, source: RunningModel, target: RunningModel) -> Lesson | None:
    """Return the lesson of a stretch, read by both models; None if too few tokens follow its context."""
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
            found.append(Stretch(text[start:end], text[end : end + CONTINUATION_CHARACTERS]))
            start = end + 1
    return found
