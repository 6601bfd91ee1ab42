"""The sentences whose vectors are nearest to the question's, by a sentence encoder that the caller brings."""

import numpy as np

from kvcache.exchange.rereading.context import Context
from kvcache.exchange.rereading.words import by_sentences
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

CHOOSER = "meaning"


def score(context: Context) -> Array:
    text, question = context.require_text(CHOOSER), context.require_question(CHOOSER)
    embed = context.embed
    if embed is None:
        raise InvalidInput(
            "the chooser 'meaning' needs a sentence encoder, and there is none",
            resolution="Give `embed`, or choose by 'words'.",
            field="chooser",
        )

    def likeness(sentences: list[str]) -> Array:
        vectors = embed([question, *sentences])
        alike: Array = np.maximum(vectors[1:] @ vectors[0], 0.0)
        return alike

    return by_sentences(context, text, likeness)
