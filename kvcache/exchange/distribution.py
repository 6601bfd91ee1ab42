"""Whether a memory looks like what a W-Matrix was calibrated on: its distance in the W-Matrix's own latent space.

A token's distance is the mean over the latents of (z / root mean square of z in calibration) squared: about 1 for the
text of calibration, far from 1 for another model's rows, other positions, or a cache that was damaged.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from latentmas.protocol.eight_bit import matrix_of
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Distribution

LEAST_DOCUMENTS = 2
# The bounds lie beyond the least and the greatest document by half of the range between them (as logarithms), and by
# a tenth at least: a new document is seldom within the very range of a few dozen others.
MARGIN_OF_RANGE = 0.5
LEAST_MARGIN = float(np.log(1.1))


def latent_scale(latents: Array) -> Array:
    """Return the root mean square `[du]` of latents `[tokens, du]`, never zero, float32."""
    scale = np.sqrt(np.mean(np.square(latents, dtype=np.float64), axis=0))
    return np.asarray(np.maximum(scale, np.finfo(np.float32).tiny), np.float32)


def latent_distances(latents: Array, latent_scale: Array) -> Array:
    """Return the distance of each token `[tokens]` from its latents `[tokens, du]`."""
    scaled = latents / latent_scale
    return np.asarray(np.einsum("ij,ij->i", scaled, scaled) / latents.shape[1])


def row_distances(rows: Array, arrays: Mapping[str, Array]) -> Array:
    """Return the distance of each source row `[tokens, ds]`. Raises InvalidInput without `latent_scale`."""
    if "latent_scale" not in arrays:
        raise InvalidInput("this W-Matrix carries no latent_scale, so distances are unknown", field="latent_scale")
    standard = (rows - arrays["source_mean"]) / np.asarray(arrays["source_scale"], np.float32)
    latents = standard.astype(np.float32) @ matrix_of(arrays, "encoder")
    return latent_distances(latents, np.asarray(arrays["latent_scale"], np.float32))


def snapshot_distance(rows: Array, arrays: Mapping[str, Array]) -> float:
    """Return the distance of a whole memory: the median over its tokens, BOS not among them."""
    return float(np.median(row_distances(rows, arrays)))


def calibrated(distances: Sequence[float]) -> Distribution:
    """Return the bounds that the distances of whole documents give. Raises InvalidInput for too few, or zeros."""
    if len(distances) < LEAST_DOCUMENTS:
        raise InvalidInput(f"{len(distances)} documents give no bounds; at least {LEAST_DOCUMENTS} are needed")
    if not all(np.isfinite(distance) and distance > 0 for distance in distances):
        raise InvalidInput("the distances of documents must be finite and above 0")
    logs = np.log(np.asarray(distances, np.float64))
    margin = max(LEAST_MARGIN, MARGIN_OF_RANGE * float(np.ptp(logs)))
    low, high = np.exp(logs.min() - margin), np.exp(logs.max() + margin)
    return Distribution(low=float(low), high=float(high), documents=len(distances))


def inside(distance: float, distribution: Distribution) -> bool:
    """Return whether a memory's distance lies where the documents of calibration were."""
    return distribution.low <= distance <= distribution.high
