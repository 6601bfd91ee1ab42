"""Fidelity of predicted rows, as a whole and by layer: cosine and relative error. It does not predict retention."""

from collections.abc import Sequence

import numpy as np

from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Basis, LayerFidelity, Quality
from latentmas.protocol.tensors import Array

TINY = np.finfo(np.float32).tiny


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


def _cosine_and_error(mine: Array, true: Array) -> tuple[float, float]:
    lengths = np.linalg.norm(true, axis=-1)
    cosine = (mine * true).sum(-1) / (np.linalg.norm(mine, axis=-1) * lengths + TINY)
    error = np.linalg.norm(mine - true, axis=-1) / (lengths + TINY)
    return float(cosine.mean()), float(error.mean())
