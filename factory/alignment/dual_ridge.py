"""Reduced-rank ridge regression in its dual form, for fewer rows than features."""

import functools as ft

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@ft.partial(jax.jit, static_argnames="rank")
def dual_ridge(
    source: Float[Array, "rows ds"], target: Float[Array, "rows dt"], *, ridge: float, rank: int
) -> tuple[Float[Array, "ds rank"], Float[Array, "rank dt"]]:
    """Return encoder and decoder that minimise |X E D - Y|^2 + ridge * rows * |E D|^2, truncated to `rank`.

    The truncation keeps the leading right singular vectors of the fitted values (Izenman 1975). Rows are standardised
    already; the cost is cubic in the rows and linear in the features.
    """
    rows = source.shape[0]
    gram = source @ source.T
    weights = jnp.linalg.solve(gram + ridge * rows * jnp.eye(rows, dtype=gram.dtype), target)
    fitted = gram @ weights
    # The right singular vectors of the fitted values from the small side: rows x rows.
    left, values, _ = jnp.linalg.svd(fitted @ fitted.T, hermitian=True)
    directions = fitted.T @ left[:, :rank] / jnp.sqrt(values[:rank])[None]
    return source.T @ (weights @ directions), directions.T
