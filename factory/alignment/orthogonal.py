"""Semi-orthogonal Procrustes from the cross-covariance (Schoenemann 1966), with one scale.

Of all Q `[ds, dt]` with orthonormal columns or rows, U V^T from the singular value decomposition C = U S V^T brings X Q
nearest to Y. Its leading `rank` directions are kept, and one scale s = tr(Q^T C) / tr(Q^T G Q) makes up for different
magnitudes of the sides. The specification speaks of Gram-Schmidt: that is the Q of a QR decomposition of some fitted
map, which preserves angles as well but depends on the order of the columns; U V^T does not. Call inside
`jax.enable_x64(True)`.
"""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Float64

from factory.alignment.gram import second_moments
from factory.alignment.ridge import leading_directions

EPSILON = float(np.finfo(np.float32).eps)


@ft.partial(jax.jit, static_argnames="rank")
def singular_directions(
    cross: Float[Array, "ds dt"], *, rank: int
) -> tuple[Float32[Array, "ds rank"], Float32[Array, " rank"], Float32[Array, "dt rank"]]:
    """Return the leading singular triplets U, S and V of C by subspace iteration, never by a full decomposition.

    Directions that C does not have, because its rank is lower, are zero in U and in S.
    """
    cross = cross.astype(jnp.float32)
    directions = leading_directions(cross, rank=rank)
    left, values, rotation = jnp.linalg.svd(cross @ directions, full_matrices=False)
    noise = values[:1] * max(cross.shape) * EPSILON
    held = (values > noise).astype(values.dtype)
    return left * held[None], values * held, directions @ rotation.T


def procrustes(
    gram: Float64[Array, "ds ds"], cross: Float[Array, "ds dt"], *, rank: int
) -> tuple[Float32[Array, "ds rank"], Float32[Array, "rank dt"], Float64[Array, " rank"]]:
    """Return s U, V^T and the mean squares of the latents X (s U). Only G's lower triangle is read."""
    left, values, right = singular_directions(cross, rank=rank)
    moments = second_moments(gram, left)
    total = moments.sum()
    scale = jnp.where(total > 0, values.astype(jnp.float64).sum() / jnp.where(total > 0, total, 1.0), 0.0)
    return left * scale.astype(jnp.float32), right.T, moments * scale**2
