"""Retention: how much of a context's help to the target model a transferred memory keeps (the transfer contract)."""

import numpy as np

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Interval
from latentmas.protocol.tensors import Array

RESAMPLES = 4000
CONFIDENCE = 0.95
SEED = 20260801  # fixed: the same NLLs give the same interval, on every machine


def retention(memory: Array, *, nothing: Array, own: Array) -> Interval:
    """Return (NLL(nothing) - NLL(memory)) / (NLL(nothing) - NLL(own)), a ratio of means over documents, with interval.

    Each array holds one mean NLL per document, `[documents]`, in nats per scored token. The interval is a percentile
    bootstrap over documents. Raises InvalidInput where the contexts do not help the target: nothing can be kept then.
    """
    gained, possible = nothing - memory, nothing - own
    if possible.mean() <= 0:
        raise InvalidInput("the contexts of this corpus do not help the target model, so retention is undefined")
    draws = np.random.default_rng(SEED).integers(0, len(gained), (RESAMPLES, len(gained)))
    resampled = gained[draws].mean(axis=1) / possible[draws].mean(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value=float(gained.mean() / possible.mean()), low=float(low), high=float(high))
