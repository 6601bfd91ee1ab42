"""The rarest words: names and numbers, which a memory keeps worst and which no later text repeats.

No list of words is needed. A tokenizer's vocabulary is a table of what is frequent, so a word that it cuts into many
tokens is rare. Among words of as many tokens one that the text says less often, or that holds a capital or a digit
inside a sentence, comes first.
"""

import math
from collections import Counter

import numpy as np

from kvcache.exchange.rereading.context import WORD, Context, of_tokens, sentences_of
from latentmas.protocol.tensors import Array

CHOOSER = "rare"
NAME = 2.0  # tokens that a capital or a digit counts as
REPEATED = 0.5  # a word that is said n times has its score divided by n to this power


def score(context: Context) -> Array:
    text = context.require_text(CHOOSER)
    found = [match.span() for match in WORD.finditer(text)]
    if not found:
        return np.zeros(context.tokens)
    return of_tokens(context, found, words_of(context, text, found))


def words_of(context: Context, text: str, found: list[tuple[int, int]]) -> Array:
    """Return how rare each word `[start, end)` of the text is."""
    words = [text[start:end].lower() for start, end in found]
    said = Counter(words)
    openings = {start for start, _ in sentences_of(text)}
    tokens = np.diff(np.searchsorted(np.sort(context.spans[:, 1]), found, side="right"))[:, 0].tolist()
    scores = []
    for (start, end), word, pieces in zip(found, words, tokens, strict=True):
        own = text[start:end]
        named = any(map(str.isdigit, own)) or (own[0].isupper() and start not in openings and len(own) > 1)
        scores.append((pieces + NAME * named + math.log1p(len(word)) / 4) / said[word] ** REPEATED)
    return np.array(scores)
