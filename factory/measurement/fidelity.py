"""How well each layer's keys and values are predicted. Says little about what a target makes of them."""

from collections.abc import Sequence

import numpy as np

from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import LayerFidelity
from latentmas.protocol.tensors import Array

TINY = np.finfo(np.float32).tiny


def row_fidelity(predicted: Array, truth: Array, geometry: KVGeometry, *, starts: Sequence[int] | None = None) -> Array:
    """Return key cosine, key error, value cosine and value error of each layer `[layers, 4]`, over tokens and heads.

    Rows are `[tokens, width]`; errors are relative. `starts` names, for each layer, the first token that counts.
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
    """Return the figures of `row_fidelity`, `[layers, 4]`, or with the cosine of attention outputs, `[layers, 5]`."""
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


def _cosine_and_error(mine: Array, true: Array) -> tuple[float, float]:
    lengths = np.linalg.norm(true, axis=-1)
    cosine = (mine * true).sum(-1) / (np.linalg.norm(mine, axis=-1) * lengths + TINY)
    error = np.linalg.norm(mine - true, axis=-1) / (lengths + TINY)
    return float(cosine.mean()), float(error.mean())
