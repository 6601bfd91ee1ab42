"""The tokens that surprised the source when it read them: what it did not foresee, it cannot have kept as a habit."""

import numpy as np

from kvcache.exchange.rereading.context import Context
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array


def score(context: Context) -> Array:
    if context.surprisal is None:
        raise InvalidInput(
            "the chooser 'surprisal' needs what surprised the source, and the memory carries none",
            resolution="Capture the memory with its surprisal, or choose by 'mixed'.",
            field="chooser",
        )
    if np.shape(context.surprisal) != (context.tokens,):
        raise InvalidInput(
            f"surprisal has the shape {np.shape(context.surprisal)}; the context has {context.tokens} tokens",
            field="surprisal",
        )
    return np.asarray(context.surprisal, np.float64)
