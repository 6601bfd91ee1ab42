"""Fit how the innovation of a target's first layer corrects the prediction of the other layers.

How it is used: `kvcache.exchange.mapping`. This is reduced-rank ridge (Izenman 1975) of a W-Matrix's residuals on
the innovations of a token and of the one before it. The features are few, so all is float64 on the host.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from kvcache.exchange.mapping import lagged, open_map
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

# Chosen on selection documents. A low rank loses most of the gain, since the correction depends on which token it was.
LAGS = 2  # tokens whose innovations are used: its own and that of the token before
RANK = 512
PENALTY = 0.003  # on the Gram matrix of standardised innovations
LEAST_VALUE = 1e-9  # of the largest eigenvalue: smaller ones are rounding error


def fit_correction(
    documents: Iterable[tuple[Array, Array]], arrays: Mapping[str, Array], *, width: int
) -> dict[str, Array]:
    """Return `correction_encoder` `[LAGS * width, RANK]` and `correction_decoder` `[RANK, dt]`, float16.

    A document is its paired rows `[n, ds]` and `[n, dt]` in the order of the text; `width` is that of the target's
    first layer, whose own columns need no correction. Raises InvalidInput without rows.
    """
    latent_map, scale = open_map(arrays), arrays["target_scale"]
    features, dimension = LAGS * width, len(scale)
    gram, cross, rows = np.zeros((features, features)), np.zeros((features, dimension)), 0
    for mine, others in documents:
        residuals = (others - latent_map.apply(mine)) / scale
        innovations = lagged(residuals[:, :width], LAGS)
        residuals[:, :width] = 0.0
        gram += innovations.T @ innovations
        cross += innovations.T @ residuals
        rows += len(mine)
    if not rows or not cross.any():
        raise InvalidInput("there are no paired documents with anything to correct")
    encoder, decoder = _reduced(gram / rows, cross / rows)
    return {"correction_encoder": encoder.astype(np.float16), "correction_decoder": decoder.astype(np.float16)}


def _reduced(gram: Array, cross: Array) -> tuple[Array, Array]:
    """Return the factors of ridge, truncated along the leading directions of the fitted residuals."""
    lower = np.linalg.cholesky(gram + PENALTY * np.eye(len(gram)))
    whitened = np.linalg.solve(lower, cross)
    values, left = np.linalg.eigh(whitened @ whitened.T)
    kept = min(RANK, max(1, int((values > LEAST_VALUE * values[-1]).sum())))
    leading = left[:, ::-1][:, :kept]
    directions = (whitened.T @ leading) / np.sqrt(values[::-1][:kept])
    encoder = np.linalg.solve(lower.T, whitened @ directions)
    # Both factors are stored in half precision: equal norms give them the same exponent range.
    balance = np.sqrt(np.linalg.norm(encoder, axis=0) + np.finfo(np.float32).tiny)
    return encoder / balance, (directions * balance).T
