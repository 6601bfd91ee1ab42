"""A W-Matrix ready to be applied: the only code that applies its matrices and its correction to rows.

R^ds -> R^du -> R^dt in two steps, so that a memory can be judged by its latents before it is decoded. Matrices are
float32 with the scales multiplied in, on the device that computes the products.

The correction uses the target's first layers, whose keys (without RoPE) and values the receiver computes where it knows
the text: the first depends on each token alone, the others cost a few of the target's layers. Their true rows minus
their prediction are the innovation u_t, as in a Kalman filter, from which the errors of all layers are predicted:
rows_t += [u_t, u_(t-1), ...] C, with C = `correction_encoder` `correction_decoder` fitted by ridge on the residuals of
the calibration rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from latentmas.extras import MissingExtra, absent

if absent("engine"):
    raise MissingExtra("engine", __name__)

import jax
import numpy as np

from kvcache.kernels.tiles import place, product
from latentmas.protocol.eight_bit import matrix_of
from latentmas.protocol.errors import DimensionMismatch
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION, LAGGED_AXES, WMatrix, WMatrixDocument

TINY_SHARE = 1e-6  # of the mean square of the encoder's columns, added for a factor that exists


@dataclass(frozen=True, slots=True)
class Correction:
    """The linear map from innovations of a token and of those before it to what is added to the token's row."""

    encoder: Array | jax.Array  # [lags * width, r], rows divided by the target's scale
    decoder: Array | jax.Array  # [r, dt - width], columns multiplied by it: the known layers are not predicted
    lags: int
    width: int  # of a token's innovation: that of the first layers that are known

    def of(self, innovations: Array) -> Array:
        """Return `[tokens, dt - width]` of raw innovations `[tokens, lags * width]`, both float32."""
        return product(product(innovations, self.encoder), self.decoder)


@dataclass(frozen=True, slots=True)
class LatentMap:
    """A W-Matrix's arrays, ready to be applied; latent scale, sink rows and correction are None where absent.

    `explaining` `[du, du]` turns latents into coordinates of the source's standardised rows in an orthonormal basis of
    what the encoder sees; None unless it was asked for.
    """

    encoder: Array | jax.Array  # [ds, du], rows divided by the source's scale
    decoder: Array | jax.Array  # [du, dt], columns multiplied by the target's scale
    source_mean: Array
    source_scale: Array
    target_mean: Array
    target_scale: Array
    latent_scale: Array | None
    source_bos: Array | None
    target_bos: Array | None
    correction: Correction | None
    explaining: Array | None = None

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

    def apply(self, rows: Array) -> Array:
        """Return target rows `[tokens, dt]`, float32, of source rows `[tokens, ds]`, which stay as they are.

        Raises DimensionMismatch for rows of another width.
        """
        wanted = len(self.source_mean)
        if rows.ndim != 2 or rows.shape[1] != wanted:
            raise DimensionMismatch(f"the rows have the shape {rows.shape}; this W-Matrix takes [tokens, {wanted}]")
        return self.decode(self.encode(np.array(rows, np.float32)))

    def unexplained(self, centred: Array, latents: Array) -> Array:
        """Return the share `[tokens]` of each standardised row's square that the encoder does not see.

        `centred` `[tokens, ds]` are the source's rows as `encode` leaves them; they are overwritten. `explaining` must
        have been asked for.
        """
        assert self.explaining is not None
        standardised = np.divide(centred, self.source_scale, out=centred)
        whole = np.einsum("ij,ij->i", standardised, standardised)
        seen = latents @ self.explaining
        share: Array = 1 - np.einsum("ij,ij->i", seen, seen) / np.maximum(whole, np.finfo(np.float32).tiny)
        return share

    def corrected(self, rows: Array, first_layers: Array) -> Array:
        """Return target rows `[tokens, dt]`, overwritten, corrected by the true first layers `[tokens, width]`.

        The tokens are consecutive; innovations before the first count as zero.
        """
        assert self.correction is not None
        positions = np.arange(len(rows))
        Corrector(self.correction.of, first_layers, positions=positions, lags=self.correction.lags).apply(rows)
        return rows


@dataclass(frozen=True, slots=True)
class OpenedWMatrix:
    """A W-Matrix's document with its opened arrays."""

    document: WMatrixDocument
    map: LatentMap

    @property
    def known_layers(self) -> int:
        """How many of the target's first layers the correction takes; 0 without one."""
        correction, geometry = self.map.correction, self.document.target_geometry
        return 0 if correction is None or geometry is None else correction.width // geometry.layer_width


def open_w_matrix(w_matrix: WMatrix, *, explain: bool = False) -> OpenedWMatrix:
    """Return a W-Matrix ready to be applied, whether its matrices are floating-point or 8-bit.

    What a forecast needs is computed where the file has one, or where `explain` asks for it.
    """
    document = w_matrix.document
    explain = explain or bool(document.forecasts)
    return OpenedWMatrix(document, open_map(w_matrix.arrays, target=document.target_geometry, explain=explain))


def open_map(arrays: Mapping[str, Array], *, target: KVGeometry | None = None, explain: bool = False) -> LatentMap:
    """Return a W-Matrix's arrays ready to be applied; without the target's geometry a correction is left out.

    `explain` computes what `LatentMap.unexplained` needs: a product of the encoder with itself.
    """
    rows = {name: np.asarray(array, np.float32) for name, array in arrays.items() if array.ndim == 1}
    return LatentMap(
        encoder=place(matrix_of(arrays, "encoder") / rows["source_scale"][:, None]),
        decoder=place(matrix_of(arrays, "decoder") * rows["target_scale"][None]),
        source_mean=rows["source_mean"],
        source_scale=rows["source_scale"],
        target_mean=rows["target_mean"],
        target_scale=rows["target_scale"],
        latent_scale=rows.get("latent_scale"),
        source_bos=rows.get("source_bos"),
        target_bos=rows.get("target_bos"),
        correction=None if target is None else _correction_of(arrays, target.layer_width, rows["target_scale"]),
        explaining=_explaining(matrix_of(arrays, "encoder")) if explain else None,
    )


def has_correction(arrays: Mapping[str, Array]) -> bool:
    """Return whether a W-Matrix has a correction, which uses the target's tokens."""
    return CORRECTION[0] in arrays


def lagged(innovations: Array, lags: int) -> Array:
    """Return `[tokens, lags * w]`: each token's innovation, the previous token's, and so on; zero before the first."""
    tokens, width = innovations.shape
    padded = np.concatenate([innovations, np.zeros((1, width), np.float32)])
    return np.asarray(padded[_before(np.arange(tokens), lags)].reshape(tokens, lags * width), np.float32)


class Corrector:
    """Corrects a memory's rows tile by tile, in order; the result does not depend on how long the tiles are.

    `positions` `[tokens]` ascend. A predecessor in the text that has no row, because the memory lacks its source token,
    has no prediction; its innovation counts as zero.
    """

    def __init__(self, correct: Callable[[Array], Array], first_layers: Array, *, positions: Array, lags: int) -> None:
        """`correct` maps lagged raw innovations `[n, lags * width]` to what is added to the rows past `width`."""
        tokens, width = first_layers.shape
        self._correct = correct
        self._first_layers = first_layers
        self._before = _before(positions, lags)
        self._innovations = np.zeros((tokens + 1, width), np.float32)  # the last stands for missing tokens
        self._done = 0

    @property
    def innovations(self) -> Array:
        """Raw innovations `[tokens, width]` of the tokens that were corrected."""
        return self._innovations[: self._done]

    def apply(self, rows: Array) -> None:
        """Correct the next rows `[n, dt]` in place; their first layers become exact."""
        width = self._first_layers.shape[1]
        tile = slice(self._done, self._done + len(rows))
        self._innovations[tile] = self._first_layers[tile] - rows[:, :width]
        rows[:, width:] += self._correct(self._innovations[self._before[tile]].reshape(len(rows), -1))
        rows[:, :width] = self._first_layers[tile]
        self._done = tile.stop


def _explaining(encoder: Array) -> Array:
    """Return the inverse of the encoder's triangular factor R `[du, du]`: encoder = Q R with orthonormal Q."""
    gram = (encoder.T @ encoder).astype(np.float64)
    lower = np.linalg.cholesky(gram + TINY_SHARE * np.trace(gram) / len(gram) * np.eye(len(gram)))
    return np.linalg.inv(lower).T.astype(np.float32)


def _correction_of(arrays: Mapping[str, Array], layer_width: int, scale: Array) -> Correction | None:
    """Return the correction. Files of one known layer may hold an encoder `[lags * layer_width, r]` of two axes."""
    if not has_correction(arrays):
        return None
    encoder, decoder = (np.asarray(arrays[rule], np.float32) for rule in CORRECTION)
    by_lag = encoder if encoder.ndim == LAGGED_AXES else encoder.reshape(-1, layer_width, encoder.shape[-1])
    lags, width, rank = by_lag.shape
    scaled = (by_lag / scale[:width, None]).reshape(lags * width, rank)
    return Correction(place(scaled), place(decoder[:, width:] * scale[width:]), lags, width)


def _before(positions: Array, lags: int) -> Array:
    """Return `[tokens, lags]`: the index of the token 0, 1, 2 ... positions before each token; -1 for none."""
    wanted = positions[:, None] - np.arange(lags)
    index = np.searchsorted(positions, wanted)
    return np.where(positions[index] == wanted, index, -1)
