"""Correct a mapped memory by the one layer that the target's tokens tell for certain: its first.

A first layer's keys (without RoPE) and values depend on the token alone. What a W-Matrix predicts for it and what it is
differ by the innovation u_t, as in a Kalman filter, and that difference tells how the other layers' predictions are
wrong: rows_t += [u_t, u_(t-1), ...] C, with C = `correction_encoder` `correction_decoder` fitted by ridge on the
residuals of the calibration rows. Everything is in standard deviations of the target's features.
"""

from collections.abc import Callable, Mapping

import numpy as np

from latentmas.protocol.tensors import Array

RULES = ("correction_encoder", "correction_decoder")


def has_correction(arrays: Mapping[str, Array]) -> bool:
    """Return whether a W-Matrix can use the target's tokens."""
    return RULES[0] in arrays


def corrected(predicted: Array, first_layer: Array, arrays: Mapping[str, Array]) -> Array:
    """Return target rows `[tokens, dt]`, float32, from predicted ones and the first layer's own `[tokens, w]`.

    The tokens follow each other in the text; before the first there is nothing to correct by.
    """
    width = first_layer.shape[1]
    scale = arrays["target_scale"]
    innovations = (first_layer - predicted[:, :width]) / scale[:width]
    lags = arrays["correction_encoder"].shape[0] // width
    encoder, decoder = (np.asarray(arrays[rule], np.float32) for rule in RULES)
    rows = predicted + (lagged(innovations, lags) @ encoder @ decoder) * scale
    rows[:, :width] = first_layer
    return np.asarray(rows, np.float32)


def lagged(innovations: Array, lags: int) -> Array:
    """Return `[tokens, lags * w]`: each token's innovation, then that of the token before, and so on; zero before."""
    tokens, width = innovations.shape
    found = np.zeros((tokens, lags, width), np.float32)
    for lag in range(min(lags, tokens)):
        found[lag:, lag] = innovations[: tokens - lag]
    return found.reshape(tokens, lags * width)


class Corrector:
    """Corrects a memory's rows tile by tile, in order; the result does not depend on how long the tiles are.

    `positions` `[tokens]` ascend. A token whose predecessor in the text has no row, because the memory lacks its
    partner, has a zero in its place: without a prediction there is no innovation.
    """

    def __init__(self, correct: Callable[[Array], Array], first_layer: Array, *, positions: Array, lags: int) -> None:
        """Take the map from lagged raw innovations `[n, lags * w]` to what the rows `[n, dt]` lack."""
        tokens, width = first_layer.shape
        self._correct = correct
        self._first_layer = first_layer
        self._before = _before(positions, lags)
        self._innovations = np.zeros((tokens + 1, width), np.float32)  # the last is of tokens that are not there
        self._done = 0

    def apply(self, rows: Array) -> None:
        """Correct the next rows `[n, dt]` in place; their first layer becomes exact."""
        width = self._first_layer.shape[1]
        tile = slice(self._done, self._done + len(rows))
        self._innovations[tile] = self._first_layer[tile] - rows[:, :width]
        rows += self._correct(self._innovations[self._before[tile]].reshape(len(rows), -1))
        rows[:, :width] = self._first_layer[tile]
        self._done = tile.stop


def _before(positions: Array, lags: int) -> Array:
    """Return `[tokens, lags]`: the index of the token so many positions before each, itself first; -1 for none."""
    wanted = positions[:, None] - np.arange(lags)
    index = np.searchsorted(positions, wanted)
    return np.where(positions[index] == wanted, index, -1)
