"""A W-Matrix with scales to be learnt: what it predicts with them, and how a loss of that depends on each.

Ridge shrinks what it predicts, the more the less sure it is, and a target's attention is sensitive to how loud keys and
values are. The scales say how loud each part should be; folded into the matrices they cost nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kvcache.exchange.correction import has_correction, lagged
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION

STANDARDS = ("source_mean", "source_scale", "target_mean", "target_scale")

LATENTS = "latents"  # `[du]`
FEATURES = "features"  # `[dt]`
BIAS = "bias"  # `[dt]`, in standard deviations of the target's features
INNOVATIONS = "innovations"  # `[r]`, the inner directions of the correction
CORRECTIONS = "corrections"  # `[dt]`, what the correction adds


@dataclass(frozen=True, slots=True)
class Prediction:
    """A memory as it was predicted, and what its gradient needs; all standardised, one row a token of the target."""

    rows: Array  # `[tokens, dt]`
    latents: Array  # `[tokens, du]`, not scaled
    features: Array  # `[tokens, dt]`, not scaled
    innovations: Array | None  # `[tokens, r]`, not scaled; None without the target's tokens


class ScaledMap:
    """The arrays of a W-Matrix, float32, which stay as they are, and the scales `learnt`, which may change in place."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)
        self._encoder, self._decoder = (np.asarray(arrays[name], np.float32) for name in ("encoder", "decoder"))
        standards = (np.asarray(arrays[name], np.float32) for name in STANDARDS)
        self._source_mean, self._source_scale, self.target_mean, self.target_scale = standards
        unified, width = self._decoder.shape
        ones = {LATENTS: unified, FEATURES: width}
        if has_correction(arrays):
            self._inner, self._outer = (np.asarray(arrays[rule], np.float32) for rule in CORRECTION)
            ones |= {INNOVATIONS: len(self._outer), CORRECTIONS: width}
        self.learnt = {name: np.ones(size, np.float32) for name, size in ones.items()}
        self.learnt[BIAS] = np.zeros(width, np.float32)

    @property
    def has_correction(self) -> bool:
        return INNOVATIONS in self.learnt

    def predict(self, source_rows: Array, first_layer: Array, *, by_tokens: bool) -> Prediction:
        """Return what the map makes of source rows `[tokens, ds]`, corrected by the first layer's own `[tokens, w]`."""
        latents = ((source_rows - self._source_mean) / self._source_scale) @ self._encoder
        features = (latents * self.learnt[LATENTS]) @ self._decoder
        rows = features * self.learnt[FEATURES] + self.learnt[BIAS]
        if not by_tokens:
            return Prediction(rows, latents, features, None)
        width = first_layer.shape[1]
        known = (first_layer - self.target_mean[:width]) / self.target_scale[:width]
        lags = len(self._inner) // width
        innovations = lagged(known - rows[:, :width], lags) @ self._inner
        rows = rows + (innovations * self.learnt[INNOVATIONS]) @ self._outer * self.learnt[CORRECTIONS]
        rows[:, :width] = known
        return Prediction(rows, latents, features, innovations)

    def gradients(self, slope: Array, prediction: Prediction, *, width: int) -> dict[str, Array]:
        """Return the gradient for each scale that took part, from the one for the predicted rows `[tokens, dt]`.

        `width` is that of the target's first layer.
        """
        found: dict[str, Array] = {}
        if prediction.innovations is not None:
            slope, found = self._through_correction(slope, prediction.innovations, width=width)
        inner = (slope * self.learnt[FEATURES]) @ self._decoder.T
        return found | {
            LATENTS: (inner * prediction.latents).sum(axis=0),
            FEATURES: (slope * prediction.features).sum(axis=0),
            BIAS: slope.sum(axis=0),
        }

    def arrays(self, learnt: Mapping[str, Array]) -> dict[str, Array]:
        """Return the arrays with scales folded in, float32 where they changed."""
        folded: dict[str, Array] = {
            "encoder": self._encoder * learnt[LATENTS],
            "decoder": self._decoder * learnt[FEATURES],
            "target_mean": self.target_mean + learnt[BIAS] * self.target_scale,
        }
        if "latent_scale" in self._arrays:
            folded["latent_scale"] = np.asarray(self._arrays["latent_scale"] * np.abs(learnt[LATENTS]), np.float32)
        if self.has_correction:
            changed = (self._inner * learnt[INNOVATIONS], self._outer * learnt[CORRECTIONS])
            folded |= dict(zip(CORRECTION, changed, strict=True))
        return self._arrays | folded

    def _through_correction(self, slope: Array, innovations: Array, *, width: int) -> tuple[Array, dict[str, Array]]:
        """Return the gradient for the rows before their correction, and those for the correction's scales."""
        slope = slope.copy()
        slope[:, :width] = 0.0  # the first layer is given
        scaled = innovations * self.learnt[INNOVATIONS]
        inner = (slope * self.learnt[CORRECTIONS]) @ self._outer.T
        found = {
            INNOVATIONS: (inner * innovations).sum(axis=0),
            CORRECTIONS: (slope * (scaled @ self._outer)).sum(axis=0),
        }
        back = ((inner * self.learnt[INNOVATIONS]) @ self._inner.T).reshape(len(slope), -1, width)
        for lag in range(min(back.shape[1], len(slope))):
            slope[: len(slope) - lag, :width] -= back[lag:, lag]
        return slope, found
