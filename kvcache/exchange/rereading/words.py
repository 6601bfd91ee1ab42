"""The sentences that share rare words with the question, by BM25 (Robertson and Zaragoza 2009).

A sentence lends half of its score to its neighbours: what a question names may stand in one sentence and its answer in
the next, behind a pronoun. Words are compared by their first letters, so that `bakes` finds `baker`; in a short text
BM25 itself cannot tell which words say nothing, so English ones are listed.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from kvcache.exchange.rereading import mixed, rare
from kvcache.exchange.rereading.context import WORD, Context, of_tokens, sentences_of
from latentmas.protocol.tensors import Array

CHOOSER = "words"
SATURATION, LENGTH = 1.2, 0.5  # k1 and b of BM25
STEM = 4  # letters
NEIGHBOUR = 0.5  # of its score is lent
SAYING_NOTHING = frozenset(
    """
    a about after all also an and any are as at be been before being but by can could did do does for from had has
    have he her here him his how i if in into is it its just like may me more most much my no not of on one only or
    other our out over said she should so some such than that the their them then there these they this those to
    under until up very was we were what when where which while who whom whose why will with would you your
    """.split()  # noqa: SIM905 - words read better without their quotes
)
AMONG = 1e-3  # what a token itself counts beside its sentence


def score(context: Context) -> Array:
    text, question = context.require_text(CHOOSER), context.require_question(CHOOSER)
    return by_sentences(context, text, lambda sentences: matching(sentences, question))


def by_sentences(context: Context, text: str, judge: Callable[[list[str]], Array]) -> Array:
    """Return the score of each token by what its sentence and the neighbours of that are worth to `judge`."""
    sentences = sentences_of(text)
    if not sentences:
        return mixed.score(context)
    judged = judge([text[start:end] for start, end in sentences])
    return _ordered(context, of_tokens(context, sentences, with_neighbours(judged)))


def matching(sentences: Sequence[str], question: str) -> Array:
    """Return the BM25 score of each sentence for the question's words."""
    documents = [Counter(_stems(sentence)) for sentence in sentences]
    lengths = np.array([max(1, document.total()) for document in documents])
    norm = SATURATION * (1 - LENGTH + LENGTH * lengths / lengths.mean())
    scores = np.zeros(len(sentences))
    for stem in set(_stems(question)):
        counts = np.array([document[stem] for document in documents])
        holding = int((counts > 0).sum())
        weight = np.log(1 + (len(sentences) - holding + 0.5) / (holding + 0.5))
        scores += weight * counts * (1 + SATURATION) / (counts + norm)
    return scores


def with_neighbours(scores: Array) -> Array:
    """Return the scores with what neighbours lend; a sentence is never behind one that only borrows from it."""
    padded = np.concatenate([[0.0], scores, [0.0]])
    lent: Array = NEIGHBOUR * np.maximum(padded[:-2], padded[2:])
    return scores + lent


def _ordered(context: Context, scores: Array) -> Array:
    """Return the sentences' scores with an order among their tokens: the rarest first, in the other sentences mixed."""
    return scores + AMONG * np.where(scores > 0, rare.score(context), mixed.score(context))


def _stems(text: str) -> list[str]:
    words = (match.group().lower() for match in WORD.finditer(text))
    return [word[:STEM] for word in words if word not in SAYING_NOTHING]
