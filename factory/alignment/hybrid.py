"""An orthogonal base W0 plus a ridge residual R, in closed form.

R minimises |X (W0 + R) - Y|^2 + lambda n |R|^2, so W0 + R = (G + lambda I)^-1 (C + lambda W0): ridge that shrinks
towards W0 and not towards nothing. Directions that the rows tell much about are those of ridge, the others those of
the rotation. Truncated to its rank it is reduced-rank ridge of that right-hand side (Izenman 1975 on the rows
augmented by sqrt(lambda n) I and sqrt(lambda n) W0). Call inside `jax.enable_x64(True)`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32


@jax.jit
def towards(
    cross: Float[Array, "ds dt"], left: Float32[Array, "ds rank"], right: Float32[Array, "rank dt"], ridge: float
) -> Float32[Array, "ds dt"]:
    """Return C + ridge * W0, the right-hand side that makes ridge shrink towards W0 = left @ right."""
    towards_base: Float32[Array, "ds dt"] = cross.astype(jnp.float32) + jnp.float32(ridge) * (left @ right)
    return towards_base
