"""Half of the last tokens, half of the rarest: what comes next rests on the former, and names on the latter."""

import numpy as np

from kvcache.exchange.rereading import last, rare
from kvcache.exchange.rereading.context import Context
from latentmas.protocol.tensors import Array


def score(context: Context) -> Array:
    """Return the better of each token's two ranks, so that the first tokens by it are about half of each kind."""
    ranks = [np.argsort(np.argsort(one.score(context), kind="stable")) for one in (last, rare)]
    better: Array = np.maximum(*ranks) / max(1, context.tokens)
    return better
