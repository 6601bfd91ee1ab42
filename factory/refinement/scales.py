"""A W-Matrix with learnable scales and a bias: its predictions, and the gradient of a loss for each of them.

Ridge shrinks its predictions, most where it is least certain, and attention is sensitive to the magnitude of keys and
values. The scales set the magnitude of each part; folded into the matrices they cost nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kvcache.exchange.mapping import lagged, open_map
from kvcache.kernels.tiles import product
from latentmas.protocol.eight_bit import MATRICES, matrix_of
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION

LATENTS = "latents"  # `[du]`
FEATURES = "features"  # `[dt]`
BIAS = "bias"  # `[dt]`, in standard deviations of the target's features
INNOVATIONS = "innovations"  # `[r]`, the inner directions of the correction
CORRECTIONS = "corrections"  # `[dt]`, what the correction adds


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted rows, and the intermediate values that their gradient needs; one row per target token."""

    rows: Array  # `[tokens, dt]`
    latents: Array  # `[tokens, du]`, not scaled
    features: Array  # `[tokens, dt]`, deviations from the target's mean, not scaled
    innovations: Array | None  # `[tokens, r]`, not scaled; None without the target's tokens


class ScaledMap:
    """A W-Matrix's map, which stays as it is, and the scales `learnt`, which may change in place.

    With scales of one and no bias it predicts what `LatentMap.apply` does.
    """

    def __init__(self, arrays: Mapping[str, Array], geometry: KVGeometry) -> None:
        """Take the arrays of a W-Matrix and the geometry of its target."""
        self._arrays = dict(arrays)
        self._map = open_map(arrays, target=geometry)
        unified, width = self._map.decoder.shape
        ones = {LATENTS: unified, FEATURES: width}
        if self._map.correction is not None:
            ones |= {INNOVATIONS: len(self._map.correction.decoder), CORRECTIONS: width}
        self.learnt = {name: np.ones(size, np.float32) for name, size in ones.items()}
        self.learnt[BIAS] = np.zeros(width, np.float32)

    @property
    def has_correction(self) -> bool:
        return self._map.correction is not None

    def predict(self, source_rows: Array, own_rows: Array | None) -> Prediction:
        """Return the prediction from source rows `[tokens, ds]`.

        It is corrected by the first layers of the target's own rows `[tokens, dt]`, if they are given.
        """
        latents = self._map.encode(np.asarray(source_rows, np.float32))
        features = product(latents * self.learnt[LATENTS], self._map.decoder)
        rows = features * self.learnt[FEATURES] + self._map.target_mean + self.learnt[BIAS] * self._map.target_scale
        correction = self._map.correction
        if correction is None or own_rows is None:
            return Prediction(rows, latents, features, None)
        known, others = slice(0, correction.width), slice(correction.width, None)
        innovations = product(lagged(own_rows[:, known] - rows[:, known], correction.lags), correction.encoder)
        added = product(innovations * self.learnt[INNOVATIONS], correction.decoder)
        rows[:, others] += added * self.learnt[CORRECTIONS][others]
        rows[:, known] = own_rows[:, known]
        return Prediction(rows, latents, features, innovations)

    def gradients(self, slope: Array, prediction: Prediction) -> dict[str, Array]:
        """Return the gradient for each scale used, from that for the predicted rows, `slope` `[tokens, dt]`."""
        found: dict[str, Array] = {}
        if prediction.innovations is not None:
            slope, found = self._through_correction(slope, prediction.innovations)
        inner = product(slope * self.learnt[FEATURES], self._map.decoder.T)
        return found | {
            LATENTS: (inner * prediction.latents).sum(axis=0),
            FEATURES: (slope * prediction.features).sum(axis=0),
            BIAS: slope.sum(axis=0) * self._map.target_scale,
        }

    def arrays(self, learnt: Mapping[str, Array]) -> dict[str, Array]:
        """Return the W-Matrix's arrays with scales folded in, float32 where they changed."""
        encoder, decoder = (matrix_of(self._arrays, name) for name in MATRICES)
        folded: dict[str, Array] = {
            "encoder": encoder * learnt[LATENTS],
            "decoder": decoder * learnt[FEATURES],
            "target_mean": self._map.target_mean + learnt[BIAS] * self._map.target_scale,
        }
        if self._map.latent_scale is not None:
            folded["latent_scale"] = self._map.latent_scale * np.abs(learnt[LATENTS])
        if self.has_correction:
            inner, outer = (np.asarray(self._arrays[rule], np.float32) for rule in CORRECTION)
            changed = (inner * learnt[INNOVATIONS], outer * learnt[CORRECTIONS])
            folded |= dict(zip(CORRECTION, changed, strict=True))
        return self._arrays | folded

    def _through_correction(self, slope: Array, innovations: Array) -> tuple[Array, dict[str, Array]]:
        """Return the gradient for the rows before their correction, and those for the correction's scales."""
        correction = self._map.correction
        assert correction is not None
        slope, others = slope.copy(), slice(correction.width, None)
        slope[:, : correction.width] = 0.0  # the first layers are given
        inner = product(slope[:, others] * self.learnt[CORRECTIONS][others], correction.decoder.T)
        added = product(innovations * self.learnt[INNOVATIONS], correction.decoder)
        found = {INNOVATIONS: (inner * innovations).sum(axis=0), CORRECTIONS: np.zeros(slope.shape[1], np.float32)}
        found[CORRECTIONS][others] = (slope[:, others] * added).sum(axis=0)
        back = product(inner * self.learnt[INNOVATIONS], correction.encoder.T)
        back = back.reshape(len(slope), correction.lags, correction.width)
        for lag in range(min(correction.lags, len(slope))):
            slope[: len(slope) - lag, : correction.width] -= back[lag:, lag]
        return slope, found
