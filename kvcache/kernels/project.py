"""Apply a W-Matrix to the rows of a cache: R^ds -> R^du -> R^dt, in standardised space."""

import jax
from jaxtyping import Array, Float


@jax.jit
def project(
    rows: Float[Array, "tokens ds"],
    encoder: Float[Array, "ds du"],
    decoder: Float[Array, "du dt"],
    source_mean: Float[Array, " ds"],
    source_scale: Float[Array, " ds"],
    target_mean: Float[Array, " dt"],
    target_scale: Float[Array, " dt"],
) -> Float[Array, "tokens dt"]:
    """Return the target rows that the W-Matrix predicts, float32."""
    unified = ((rows - source_mean[None]) / source_scale[None]) @ encoder
    return (unified @ decoder) * target_scale[None] + target_mean[None]
