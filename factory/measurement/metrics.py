"""The figures of a W-Matrix, computed from what was measured: retention, row fidelity and retrieval.

Retention (the transfer contract) is how much of a context's help to the target model a transferred memory keeps; its
interval is a bootstrap over documents. Fidelity is how well rows are predicted, which says little about what a target
model makes of them. Retrieval is how often an aligned embedding finds its own passage among the target's vectors.
"""

from collections.abc import Sequence

import numpy as np

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Basis, Interval, LayerFidelity, Quality, Retrieval
from latentmas.protocol.tensors import Array

TINY = np.finfo(np.float32).tiny
RESAMPLES = 4000
CONFIDENCE = 0.95
SEED = 20260801  # fixed: the same NLLs give the same interval, on every machine
TOP_K = 5


def retention(memory: Array, *, nothing: Array, own: Array) -> Interval:
    """Return (NLL(nothing) - NLL(memory)) / (NLL(nothing) - NLL(own)), a ratio of means over documents, with interval.

    Each array holds one mean NLL per document, `[documents]`, in nats per scored token. The interval is a percentile
    bootstrap over documents. Raises InvalidInput where the contexts do not help the target: nothing can be kept then.
    """
    return share_of(nothing - memory, nothing - own)


def share_of(gained: Array, possible: Array) -> Interval:
    """Return how much of what was possible was gained, a ratio of means over documents, with its interval.

    Raises as `retention` does.
    """
    if possible.mean() <= 0:
        raise InvalidInput("the contexts of this corpus do not help the target model, so retention is undefined")
    draws = _draws(len(gained))
    resampled = gained[draws].mean(axis=1) / possible[draws].mean(axis=1)
    return _interval(float(gained.mean() / possible.mean()), resampled)


def row_fidelity(predicted: Array, truth: Array, geometry: KVGeometry, *, starts: Sequence[int] | None = None) -> Array:
    """Return key cosine, key error, value cosine and value error of each layer `[layers, 4]`, over tokens and heads.

    Rows are `[tokens, width]`; errors are relative. `starts` is the first token that counts in each layer.
    """
    split = geometry.heads * geometry.head_dim
    mine, true = (rows.reshape(len(truth), geometry.layers, geometry.layer_width) for rows in (predicted, truth))
    figures: list[float] = []
    for layer in range(geometry.layers):
        tokens = slice(0 if starts is None else starts[layer], None)
        for part, width in ((slice(0, split), geometry.head_dim), (slice(split, None), geometry.value_width)):
            figures += _cosine_and_error(
                mine[tokens, layer, part].reshape(-1, width), true[tokens, layer, part].reshape(-1, width)
            )
    return np.array(figures).reshape(geometry.layers, 4)


def layer_fidelities(figures: Array) -> tuple[LayerFidelity, ...]:
    """Return `row_fidelity`'s figures `[layers, 4]` as records; a fifth column is the cosine of attention outputs."""
    return tuple(
        LayerFidelity(
            layer=layer,
            key_cosine=each[0],
            key_error=each[1],
            value_cosine=each[2],
            value_error=each[3],
            attention_cosine=each[4] if len(each) > 4 else None,
        )
        for layer, each in enumerate(figures.tolist())
    )


def row_quality(predicted: Array, truth: Array, *, basis: Basis, cost: int) -> Quality:
    """Return the figures of predictions `[rows, width]` against the truth; `cost` is in multiply-adds per row.

    Information retention is 1 - sum |predicted - true|^2 / sum |true|^2.
    """
    lengths, errors = np.linalg.norm(truth, axis=1), np.linalg.norm(predicted - truth, axis=1)
    cosines = (predicted * truth).sum(axis=1) / (np.linalg.norm(predicted, axis=1) * lengths)
    retained = float(1 - np.square(errors, dtype=np.float64).sum() / np.square(lengths, dtype=np.float64).sum())
    return Quality(
        basis=basis,
        epsilon=min(max(1 - retained, 0.0), 1.0),
        information_retention=retained,
        cosine_similarity=float(cosines.mean()),
        euclidean_distance=float((errors / lengths).mean()),
        computational_cost=cost,
        test_samples=len(truth),
        documents=0,
    )


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


def _cosine_and_error(mine: Array, true: Array) -> tuple[float, float]:
    lengths = np.linalg.norm(true, axis=-1)
    cosine = (mine * true).sum(-1) / (np.linalg.norm(mine, axis=-1) * lengths + TINY)
    error = np.linalg.norm(mine - true, axis=-1) / (lengths + TINY)
    return float(cosine.mean()), float(error.mean())


def _share(hits: Array, documents: Array) -> Interval:
    _, index = np.unique(documents, return_inverse=True)
    found, passages = np.bincount(index, weights=hits), np.bincount(index)
    draws = _draws(len(found))
    return _interval(float(hits.mean()), found[draws].sum(axis=1) / passages[draws].sum(axis=1))


def _draws(documents: int) -> Array:
    """Return which documents each resample of the bootstrap holds, `[RESAMPLES, documents]`."""
    return np.random.default_rng(SEED).integers(0, documents, (RESAMPLES, documents))


def _interval(value: float, resampled: Array) -> Interval:
    """Return a value with the percentile interval of its resamples."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value=value, low=float(low), high=float(high))


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: Array = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
    return unit
