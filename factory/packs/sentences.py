"""Cut documents into passages at sentence ends, the same for every model, so that vectors pair across models."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from factory.corpora import Document, Split, TextCorpus

LEAST_CHARACTERS = 192  # a passage ends at the first sentence end from here on, so that most have about 256
MOST_CHARACTERS = 384  # where no sentence ends, at the last space before
SHORTEST_REST = 96  # of a document; a shorter one is left out
SENTENCE_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]]*(?=\s)|\n\s*\n")
# Of a budget of passages; the rest fits the map.
SELECTION_SHARE = 0.1
HELD_OUT_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class CutDocument:
    """A document and the character ranges `[start, end)` of the passages taken from it, in order."""

    document: Document
    spans: tuple[tuple[int, int], ...]

    @property
    def texts(self) -> list[str]:
        return [self.document.text[start:end] for start, end in self.spans]


def passages_within(corpus: TextCorpus, *, budget: int) -> list[CutDocument]:
    """Return at most `budget` passages of the corpus by document: a tenth for selection, three tenths held out."""
    selection, held_out = int(budget * SELECTION_SHARE), int(budget * HELD_OUT_SHARE)
    budgets = {
        Split.CALIBRATION: budget - selection - held_out,
        Split.SELECTION: selection,
        Split.HELD_OUT: held_out,
    }
    return [each for split, limit in budgets.items() for each in _spread(corpus.part(split), limit)]


def cut(text: str) -> list[tuple[int, int]]:
    """Return the character ranges of a text's passages: whole sentences, without white space at their ends."""
    spans = []
    start = _skip_space(text, 0)
    while start < len(text):
        end = _end_of(text, start)
        if end - start < SHORTEST_REST:
            break
        spans.append((start, end))
        start = _skip_space(text, end)
    return spans


def _spread(documents: tuple[Document, ...], budget: int) -> Iterator[CutDocument]:
    """Yield up to `budget` passages, about as many from each document, evenly spaced over it."""
    quota = -(-budget // max(1, len(documents)))
    left = budget
    for document in documents:
        spans = cut(document.text)
        count = min(quota, len(spans), left)
        if count:
            yield CutDocument(document, tuple(spans[number * len(spans) // count] for number in range(count)))
        left -= count


def _end_of(text: str, start: int) -> int:
    if sentence := SENTENCE_END.search(text, start + LEAST_CHARACTERS, start + MOST_CHARACTERS + 1):
        return start + len(text[start : sentence.end()].rstrip())
    if len(text) - start <= MOST_CHARACTERS:
        return start + len(text[start:].rstrip())
    space = max(text.rfind(character, start + 1, start + MOST_CHARACTERS) for character in (" ", "\n"))
    end = space if space > start else start + MOST_CHARACTERS
    return start + len(text[start:end].rstrip())


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start
