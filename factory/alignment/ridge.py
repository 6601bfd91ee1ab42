"""Reduced-rank ridge regression in closed form, from Gram matrices (Hoerl 1970; Izenman 1975).

W = (G + lambda I)^-1 C, truncated to the leading directions of the fitted target covariance. The Cholesky factor is
float64: with activations, G spans seven orders of magnitude. Everything after it is float32, since the factor's
condition number is only the square root of G's. Call all but `dual_ridge` inside `jax.enable_x64(True)`.
"""

import functools as ft

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Float32, Float64

PANEL = 1024  # rows solved at once
OVERSAMPLING = 64
ITERATIONS = 4


@jax.jit(donate_argnums=0)
def factor(gram: Float64[Array, "ds ds"], ridge: float) -> Float64[Array, "ds ds"]:
    """Return the lower Cholesky factor L of G + ridge I. Only G's lower triangle is read; its memory is reused."""
    return jax.lax.linalg.cholesky(gram + ridge * jnp.eye(gram.shape[0]), symmetrize_input=False)


@jax.jit
def whiten(lower: Float32[Array, "ds ds"], cross: Float[Array, "ds dt"]) -> Float32[Array, "ds dt"]:
    """Return A = L^-1 C. A^T A is the covariance of the fitted target.

    Panel by panel, so that nearly all of it is products, which are faster than the triangular routine.
    """
    solved = jnp.zeros(cross.shape, jnp.float32)
    for start in range(0, len(lower), PANEL):
        end = start + PANEL
        rest = cross[start:end].astype(jnp.float32) - lower[start:end, :start] @ solved[:start]
        panel = solve_triangular(lower[start:end, start:end], rest, lower=True)
        solved = solved.at[start:end].set(panel)
    return solved


@ft.partial(jax.jit, static_argnames="rank")
def leading_directions(whitened: Float32[Array, "ds dt"], *, rank: int) -> Float32[Array, "dt rank"]:
    """Return the leading right singular vectors of A, orthonormal, strongest first, by subspace iteration.

    Halko, Martinsson and Tropp 2011, algorithm 4.4. The random start is fixed: the same A gives the same directions.
    """
    width = min(rank + OVERSAMPLING, *whitened.shape)
    basis = jr.normal(jr.key(0), (whitened.shape[1], width), dtype=jnp.float32)
    for _ in range(ITERATIONS):
        basis, _ = jnp.linalg.qr(whitened.T @ (whitened @ basis))
    image = whitened @ basis
    _, rotation = jnp.linalg.eigh(image.T @ image)
    strongest: Float32[Array, "dt rank"] = basis @ rotation[:, ::-1][:, :rank]
    return strongest


@jax.jit
def encode(
    lower: Float32[Array, "ds ds"], whitened: Float32[Array, "ds dt"], directions: Float32[Array, "dt rank"]
) -> Float32[Array, "ds rank"]:
    """Return the encoder (G + ridge I)^-1 C V = L^-T (A V); the decoder is V^T."""
    return solve_triangular(lower, whitened @ directions, lower=True, trans=1)


@jax.jit
def towards(
    cross: Float[Array, "ds dt"], left: Float32[Array, "ds rank"], right: Float32[Array, "rank dt"], ridge: float
) -> Float32[Array, "ds dt"]:
    """Return C + ridge * W0, the right-hand side that makes ridge shrink towards W0 = left @ right instead of zero.

    The residual R of that base minimises |X (W0 + R) - Y|^2 + lambda n |R|^2, so W0 + R = (G + lambda I)^-1
    (C + lambda W0): directions that the rows determine well follow ridge, the others follow the base.
    Truncated it is reduced-rank ridge on the rows augmented by sqrt(lambda n) I and sqrt(lambda n) W0 (Izenman 1975).
    """
    towards_base: Float32[Array, "ds dt"] = cross.astype(jnp.float32) + jnp.float32(ridge) * (left @ right)
    return towards_base


@ft.partial(jax.jit, static_argnames="rank")
def dual_ridge(
    source: Float[Array, "rows ds"], target: Float[Array, "rows dt"], *, ridge: float, rank: int
) -> tuple[Float[Array, "ds rank"], Float[Array, "rank dt"]]:
    """Return encoder and decoder that minimise |X E D - Y|^2 + ridge * rows * |E D|^2, truncated to `rank`.

    The dual form, for fewer rows than features.
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
