"""What is done to a whole map: made smaller before it is trained further, mixed with the trained one afterwards."""

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
    inner = arrays[CORRECTION[0]]
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
        CORRECTION[0]: inner[:, :width],
    }


def mixed(before: Mapping[str, Array], after: Mapping[str, Array], *, share: float) -> dict[str, Array]:
    """Return the mean of two maps of one shape, `share` of it the trained one.

    Where one was trained from the other, the mean lies between them in what each does better (Wortsman et al. 2022,
    arXiv 2109.01903).
    """
    before, after = from_eight_bit(before), from_eight_bit(after)
    return {name: ((1 - share) * before[name] + share * after[name]).astype(after[name].dtype) for name in after}
