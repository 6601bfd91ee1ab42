"""A W-Matrix ready to be applied: the only code that applies its matrices and its correction to rows.

R^ds -> R^du -> R^dt in two steps, so that a memory can be judged by its latents before it is decoded. Matrices are
float32 with the scales multiplied in, on the device that computes the products.

The correction uses the target's first layers, whose keys (without RoPE) and values the receiver computes where it knows
the text: the first depends on each token alone, the others cost a few of the target's layers. Their true rows minus
their prediction are the innovation u_t, as in a Kalman filter, from which the errors of all layers are predicted:
rows_t += [u_t, u_(t-1), ...] C, with C = `correction_encoder` `correction_decoder` fitted by ridge on the residuals of
the calibration rows.
"""

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class LatentMap:
    """A W-Matrix's arrays, ready to be applied; latent scale, sink rows and correction are None where absent.

    `outputs` has the decoder's rows, the target's mean, and the rows of the correction's decoder, so that one product
    does all of it: each pass over a memory's rows takes as long as a tenth of that product. `explaining` `[du, du]`
    turns latents into coordinates of the source's standardised rows in an orthonormal basis of what the encoder sees;
    None unless it was asked for.
    """

    encoder: Array | jax.Array  # [ds, du], rows divided by the source's scale
    outputs: Array | jax.Array  # [du + 1 + r, dt], columns multiplied by the target's scale
    offset: Array  # [du], the latents of the source's mean
    source_mean: Array
    source_scale: Array
    target_mean: Array
    target_scale: Array
    latent_scale: Array | None
    source_bos: Array | None
    target_bos: Array | None
    correction: Correction | None
    explaining: Array | None = None

    @property
    def decoder(self) -> Array | jax.Array:
        """The matrix `[du, dt]` of latents to rows, columns multiplied by the target's scale."""
        return self.outputs[: len(self.offset)]

    def encode(self, rows: Array) -> Array:
        """Return latents `[tokens, du]` of source rows `[tokens, ds]`, both float32."""
        latents = product(rows, self.encoder)
        latents -= self.offset  # the mean's share: taken from the rows it would cost a pass over them
        return latents

    def decode(self, latents: Array, innovations: "Innovations | None" = None) -> Array:
        """Return target rows `[tokens, dt]`, float32: keys after any key norm, without RoPE.

        With the `innovations` of a memory, whose next tokens these are, the known layers are exact and the others
        corrected. Keys are predicted as the target caches them. Predicting them before the key norm and normalising
        afterwards was measured to cost 0.03 of retention, so nothing is restored here.
        """
        with_mean = np.column_stack([latents, np.ones(len(latents), np.float32)])
        plain = self.outputs[: with_mean.shape[1]]
        if innovations is None or self.correction is None:
            return product(with_mean, plain)
        width = self.correction.width
        rows = np.empty((len(latents), plain.shape[1]), np.float32)
        found, rows[:, :width] = innovations.after(product(with_mean, plain[:, :width]))
        inputs = np.column_stack([with_mean, product(found, self.correction.encoder)])
        product(inputs, self.outputs[:, width:], into=rows[:, width:])
        return rows

    def apply(self, rows: Array, first_layers: Array | None = None) -> Array:
        """Return target rows `[tokens, dt]`, float32, of source rows `[tokens, ds]`.

        With the target's true first layers `[tokens, width]` of these tokens, which follow one another, they are
        corrected. Raises DimensionMismatch for rows of another width.
        """
        wanted = len(self.source_mean)
        if rows.ndim != 2 or rows.shape[1] != wanted:
            raise DimensionMismatch(f"the rows have the shape {rows.shape}; this W-Matrix takes [tokens, {wanted}]")
        known = None
        if first_layers is not None and self.correction is not None:
            known = Innovations(first_layers, positions=np.arange(len(rows)), lags=self.correction.lags)
        return self.decode(self.encode(np.asarray(rows, np.float32)), known)

    def unexplained(self, rows: Array, latents: Array) -> Array:
        """Return the share `[tokens]` of each standardised source row's square that the encoder does not see.

        `explaining` must have been asked for.
        """
        assert self.explaining is not None
        standardised = (rows - self.source_mean) / self.source_scale
        whole = np.einsum("ij,ij->i", standardised, standardised)
        seen = latents @ self.explaining
        share: Array = 1 - np.einsum("ij,ij->i", seen, seen) / np.maximum(whole, np.finfo(np.float32).tiny)
        return share


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
    encoder = matrix_of(arrays, "encoder") / rows["source_scale"][:, None]
    inner = None if target is None else _correction_of(arrays, target.layer_width)
    outputs = place(_outputs(arrays, rows["target_mean"], rows["target_scale"], corrected=inner is not None))
    return LatentMap(
        encoder=place(encoder),
        outputs=outputs,
        offset=rows["source_mean"] @ encoder,
        source_mean=rows["source_mean"],
        source_scale=rows["source_scale"],
        target_mean=rows["target_mean"],
        target_scale=rows["target_scale"],
        latent_scale=rows.get("latent_scale"),
        source_bos=rows.get("source_bos"),
        target_bos=rows.get("target_bos"),
        correction=None if inner is None else _correction(inner, outputs, rows["target_scale"]),
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


class Innovations:
    """How the target's first layers differ from their prediction, tile by tile, in order, whatever the tiles' length.

    `positions` `[tokens]` ascend. A predecessor in the text that has no row, because the memory lacks its source token,
    has no prediction; its innovation counts as zero.
    """

    def __init__(self, first_layers: Array, *, positions: Array, lags: int) -> None:
        """`first_layers` `[tokens, width]` are the true ones, raw; `lags` how many tokens correct one."""
        tokens, width = first_layers.shape
        self._first_layers = first_layers
        self._before = _before(positions, lags)
        self._found = np.zeros((tokens + 1, width), np.float32)  # the last stands for missing tokens
        self._done = 0

    @property
    def found(self) -> Array:
        """Raw innovations `[tokens, width]` of the tokens so far."""
        return self._found[: self._done]

    def after(self, predicted: Array) -> tuple[Array, Array]:
        """Return the next tokens' lagged innovations `[n, lags * width]` and their true first layers `[n, width]`.

        `predicted` `[n, width]` are the first layers that were expected.
        """
        tile = slice(self._done, self._done + len(predicted))
        true = self._first_layers[tile]
        self._found[tile] = true - predicted
        self._done = tile.stop
        return self._found[self._before[tile]].reshape(len(predicted), -1), true


def _explaining(encoder: Array) -> Array:
    """Return the inverse of the encoder's triangular factor R `[du, du]`: encoder = Q R with orthonormal Q."""
    gram = (encoder.T @ encoder).astype(np.float64)
    lower = np.linalg.cholesky(gram + TINY_SHARE * np.trace(gram) / len(gram) * np.eye(len(gram)))
    return np.linalg.inv(lower).T.astype(np.float32)


def _outputs(arrays: Mapping[str, Array], mean: Array, scale: Array, *, corrected: bool) -> Array:
    """Return decoder, mean and the correction's decoder, one below the other, columns multiplied by the scale."""
    parts = [matrix_of(arrays, "decoder") * scale, mean[None]]
    if corrected:
        parts.append(np.asarray(arrays[CORRECTION[1]], np.float32) * scale)
    return np.concatenate(parts)


def _correction_of(arrays: Mapping[str, Array], layer_width: int) -> Array | None:
    """Return the correction's encoder `[lags, width, r]`.

    Files of one known layer may hold it as `[lags * layer_width, r]`.
    """
    if not has_correction(arrays):
        return None
    encoder = np.asarray(arrays[CORRECTION[0]], np.float32)
    return encoder if encoder.ndim == LAGGED_AXES else encoder.reshape(-1, layer_width, encoder.shape[-1])


def _correction(by_lag: Array, outputs: Array | jax.Array, scale: Array) -> Correction:
    lags, width, rank = by_lag.shape
    scaled = (by_lag / scale[:width, None]).reshape(lags * width, rank)
    return Correction(place(scaled), outputs[-rank:, width:], lags, width)


def _before(positions: Array, lags: int) -> Array:
    """Return `[tokens, lags]`: the index of the token 0, 1, 2 ... positions before each token; -1 for none."""
    wanted = positions[:, None] - np.arange(lags)
    index = np.searchsorted(positions, wanted)
    return np.where(positions[index] == wanted, index, -1)
