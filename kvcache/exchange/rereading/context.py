"""What a chooser may look at: the context in the target's tokens, and whatever else is known of it."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

WORD = re.compile(r"\w+")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")


@dataclass(frozen=True, slots=True)
class Context:
    """A context in the target's own tokens, BOS not among them.

    `spans` `[tokens, 2]` are the characters of each token in `text`. `surprisal` `[tokens]` is what the source found
    surprising, in nats; `attention` `[tokens]` what the target's question paid each token of the aligned memory;
    `embed` turns sentences into vectors `[sentences, dimension]` of length one.
    """

    spans: Array
    text: str | None = None
    question: str | None = None
    surprisal: Array | None = None
    attention: Array | None = None
    embed: "Callable[[Sequence[str]], Array] | None" = None

    def __post_init__(self) -> None:
        if self.question is not None and self.text is None:
            raise InvalidInput(
                "a question was given without the text: what answers it is looked for there",
                resolution="Give the text that the source has read, too.",
                field="text",
            )
        if self.text is not None and len(self.spans) and (end := int(self.spans[:, 1].max())) > len(self.text):
            raise InvalidInput(
                f"the spans reach to character {end}; the text has {len(self.text)}",
                resolution="Give the text that the source has read, and its spans in the target's tokens.",
                field="text",
            )

    @property
    def tokens(self) -> int:
        return len(self.spans)

    def require_text(self, chooser: str) -> str:
        """Return the text. Raises InvalidInput where it is not known."""
        if self.text is None:
            raise InvalidInput(
                f"the chooser {chooser!r} looks at the text, which was not given",
                resolution="Give the text, or choose by 'last'.",
                field="text",
            )
        return self.text

    def require_question(self, chooser: str) -> str:
        """Return the question. Raises InvalidInput where there is none."""
        if self.question is None or not WORD.search(self.question):
            raise InvalidInput(
                f"the chooser {chooser!r} looks for what answers a question, and none was given",
                resolution="Give the question, or choose by 'mixed' or 'last'.",
                field="question",
            )
        return self.question


Score = Callable[[Context], Array]  # `[tokens]`, the highest is read first


def sentences_of(text: str) -> list[tuple[int, int]]:
    """Return the characters `[start, end)` of each sentence or line of a text, blanks around it left out."""
    cuts = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    found = []
    for start, end in itertools.pairwise(cuts):
        inner = text[start:end].strip()
        if inner:
            first = start + text[start:end].index(inner)
            found.append((first, first + len(inner)))
    return found


def of_tokens(context: Context, pieces: Sequence[tuple[int, int]], scores: Array) -> Array:
    """Return the score of each token's piece `[tokens]`: the piece where the token ends, zero between pieces."""
    starts = np.array([start for start, _ in pieces])
    ends = np.array([end for _, end in pieces])
    last_character = context.spans[:, 1] - 1
    piece = np.clip(np.searchsorted(starts, last_character, side="right") - 1, 0, None)
    return np.where(last_character < ends[piece], scores[piece], 0.0)
