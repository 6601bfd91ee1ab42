"""Make a distilled map smaller before it is trained further: a lower unified dimension, fewer known layers."""

from collections.abc import Mapping

import numpy as np

from latentmas.protocol.eight_bit import from_eight_bit
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION


def smaller(arrays: Mapping[str, Array], *, dimension: int, width: int) -> dict[str, Array]:
    """Return the map of this unified dimension that predicts most alike, corrected by the target's first `width`.

    `width` is that of the known layers' rows, whose others the correction now has to learn. Latents count as
    independent, each of the spread that the map states. Raises InvalidInput where the map is smaller than that.
    """
    arrays = from_eight_bit(arrays)
    inner, outer = (np.asarray(arrays[name], np.float32) for name in CORRECTION)
    for name, wanted, held in (
        ("unified dimension", dimension, len(arrays["latent_scale"])),
        ("width of the known layers", width, inner.shape[1]),
    ):
        if wanted > held:
            raise InvalidInput(
                f"the {name} cannot be {wanted}: that of the map at hand is {held}",
                resolution="A map that is trained further keeps its shape or becomes smaller.",
            )
    spread = arrays["latent_scale"]
    # The best approximation of a matrix's product with independent latents of spread 1 (Eckart and Young 1936).
    turned, sizes, directions = np.linalg.svd(spread[:, None] * arrays["decoder"], full_matrices=False)
    return arrays | {
        "encoder": arrays["encoder"] / spread @ turned[:, :dimension],
        "decoder": sizes[:dimension, None] * directions[:dimension],
        "latent_scale": np.ones(dimension, np.float32),
        **dict(zip(CORRECTION, (inner[:, :width], outer), strict=True)),
    }
