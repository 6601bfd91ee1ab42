"""The last tokens: those before the answer weigh more than all others, whatever is asked."""

import numpy as np

from kvcache.exchange.rereading.context import Context
from latentmas.protocol.tensors import Array


def score(context: Context) -> Array:
    return np.arange(context.tokens, dtype=np.float64)
