"""A W-Matrix ready to be applied: its matrices in float32 with the scales multiplied in, kept where products run."""

from dataclasses import dataclass

import jax
import numpy as np

from kvcache.exchange.correction import RULES, has_correction
from kvcache.kernels.product import place, product
from latentmas.protocol.eight_bit import matrix_of
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import WMatrix, WMatrixDocument


@dataclass(frozen=True, slots=True)
class OpenedCorrection:
    """From the innovations of the target's first layer, of a token and of those before it, to what its row lacks."""

    encoder: Array | jax.Array  # [lags * w, r], rows divided by the target's scale
    decoder: Array | jax.Array  # [r, dt], columns multiplied by it
    lags: int

    def of(self, innovations: Array) -> Array:
        """Return `[tokens, dt]` of raw innovations `[tokens, lags * w]`, both float32."""
        return product(product(innovations, self.encoder), self.decoder)


@dataclass(frozen=True, slots=True)
class OpenedWMatrix:
    """R^ds -> R^du -> R^dt in two steps, so that a snapshot can be judged by its latents before anything is built.

    `latent_scale`, the two sinks' rows and the correction are None where the file does not carry them.
    """

    document: WMatrixDocument
    encoder: Array | jax.Array  # [ds, du], rows divided by the source's scale
    decoder: Array | jax.Array  # [du, dt], columns multiplied by the target's scale
    source_mean: Array
    source_scale: Array
    target_mean: Array
    latent_scale: Array | None
    source_bos: Array | None
    target_bos: Array | None
    correction: OpenedCorrection | None

    def encode(self, rows: Array) -> Array:
        """Return latents `[tokens, du]` of source rows `[tokens, ds]`, float32; the rows are overwritten."""
        rows -= self.source_mean  # in place: a copy of a tile takes a quarter as long as the product
        return product(rows, self.encoder)

    def decode(self, latents: Array) -> Array:
        """Return target rows `[tokens, dt]`, float32: keys after any key norm, without RoPE.

        Keys are predicted as the target caches them. Predicting them before the key norm and normalising afterwards
        was measured to cost 0.03 of retention, so nothing is restored here.
        """
        rows = product(latents, self.decoder)
        rows += self.target_mean
        return rows


def open_w_matrix(w_matrix: WMatrix) -> OpenedWMatrix:
    """Return the W-Matrix with its matrices in float32, whichever form the file keeps them in."""
    arrays = {name: np.asarray(array, np.float32) for name, array in w_matrix.arrays.items() if array.ndim == 1}
    encoder = matrix_of(w_matrix.arrays, "encoder") / arrays["source_scale"][:, None]
    decoder = matrix_of(w_matrix.arrays, "decoder") * arrays["target_scale"][None]
    return OpenedWMatrix(
        document=w_matrix.document,
        encoder=place(encoder),
        decoder=place(decoder),
        source_mean=arrays["source_mean"],
        source_scale=arrays["source_scale"],
        target_mean=arrays["target_mean"],
        latent_scale=arrays.get("latent_scale"),
        source_bos=arrays.get("source_bos"),
        target_bos=arrays.get("target_bos"),
        correction=_correction_of(w_matrix, arrays["target_scale"]),
    )


def _correction_of(w_matrix: WMatrix, scale: Array) -> OpenedCorrection | None:
    geometry = w_matrix.document.target_geometry
    if not has_correction(w_matrix.arrays) or geometry is None:
        return None
    encoder, decoder = (np.asarray(w_matrix.arrays[rule], np.float32) for rule in RULES)
    lags = len(encoder) // geometry.layer_width
    first = np.tile(scale[: geometry.layer_width], lags)
    return OpenedCorrection(place(encoder / first[:, None]), place(decoder * scale[None]), lags)
