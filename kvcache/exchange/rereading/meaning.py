"""The sentences whose vectors are nearest to the question's, by a sentence encoder that the caller brings."""

import numpy as np

from kvcache.exchange.rereading import mixed
from kvcache.exchange.rereading.context import Context, of_tokens, sentences_of
from kvcache.exchange.rereading.words import ordered, with_neighbours
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

CHOOSER = "meaning"


def score(context: Context) -> Array:
    text, question = context.require_text(CHOOSER), context.require_question(CHOOSER)
    if context.embed is None:
        raise InvalidInput(
            "the chooser 'meaning' needs a sentence encoder, and there is none",
            resolution="Give `embed`, or choose by 'words'.",
            field="chooser",
        )
    sentences = sentences_of(text)
    if not sentences:
        return mixed.score(context)
    vectors = context.embed([question, *(text[start:end] for start, end in sentences)])
    likeness = np.maximum(vectors[1:] @ vectors[0], 0.0)
    return ordered(context, of_tokens(context, sentences, with_neighbours(likeness)))
