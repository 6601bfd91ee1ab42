"""Map the rows of a source model's cache to rows of the target's through a W-Matrix."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np

from kvcache.kernels.buckets import bucket
from kvcache.kernels.project import project
from latentmas.protocol.eight_bit import MATRICES, matrix_of
from latentmas.protocol.errors import DimensionMismatch
from latentmas.protocol.tensors import Array

STANDARD_RULES = ("source_mean", "source_scale", "target_mean", "target_scale")


def aligner(arrays: Mapping[str, Array]) -> Callable[[Array], Array]:
    """Return the function that maps source rows `[tokens, ds]` to target rows `[tokens, dt]`, both float32.

    `arrays` are those of a W-Matrix. The function raises DimensionMismatch for rows of another width.
    """
    matrices = [jnp.asarray(matrix_of(arrays, name)) for name in MATRICES]
    matrices += [jnp.asarray(arrays[rule], dtype=jnp.float32) for rule in STANDARD_RULES]
    wanted = arrays["encoder"].shape[0]

    def align(rows: Array) -> Array:
        if rows.ndim != 2 or rows.shape[1] != wanted:
            raise DimensionMismatch(f"the rows have the shape {rows.shape}; this W-Matrix takes [tokens, {wanted}]")
        tokens = len(rows)
        padded = np.pad(rows.astype(np.float32), ((0, bucket(tokens) - tokens), (0, 0)))
        return np.asarray(project(padded, *matrices))[:tokens]

    return align
