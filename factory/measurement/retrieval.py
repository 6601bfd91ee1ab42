"""Retrieval by aligned embeddings: how often a vector finds its own passage among the target's vectors."""

import numpy as np

from factory.measurement.retention import CONFIDENCE, RESAMPLES, SEED
from latentmas.protocol.quality import Interval, Retrieval
from latentmas.protocol.tensors import Array

TOP_K = 5


def ranks(predicted: Array, truth: Array) -> Array:
    """Return each predicted vector's rank `[passages]`: how many other candidates are at least as near as its own.

    Nearness is the cosine; 0 is a hit. Both arrays are `[passages, dt]`, row by row of the same passage; `truth` holds
    all candidates.
    """
    cosines = _unit(predicted) @ _unit(truth).T
    own = cosines.diagonal()[:, None]
    better: Array = (cosines >= own).sum(axis=1) - 1
    return better


def retrieval(aligned: Array, random_w: Array, *, documents: Array) -> Retrieval:
    """Return top-1 and top-5 shares of ranks `[passages]`; `documents` `[passages]` is each passage's document.

    Shares are over passages; intervals are percentile bootstraps that resample whole documents.
    """
    return Retrieval(
        top1=_share(aligned < 1, documents),
        top5=_share(aligned < TOP_K, documents),
        random_w_top1=_share(random_w < 1, documents),
        candidates=len(aligned),
        chance=1 / len(aligned),
    )


def mean_reciprocal_rank(found: Array) -> float:
    """Return the mean of 1 / (1 + rank): finer than top-1 where there are few passages to choose a penalty on."""
    return float(np.mean(1 / (1.0 + found)))


def _share(hits: Array, documents: Array) -> Interval:
    _, index = np.unique(documents, return_inverse=True)
    found, passages = np.bincount(index, weights=hits), np.bincount(index)
    draws = np.random.default_rng(SEED).integers(0, len(found), (RESAMPLES, len(found)))
    resampled = found[draws].sum(axis=1) / passages[draws].sum(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value=float(hits.mean()), low=float(low), high=float(high))


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: Array = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
    return unit
