"""Fit one latent space shared by several models: an encoder E_i and a decoder D_i each, of which every pair composes.

The base is multi-view canonical correlation (`maxvar.py`). Corrections then lower the error of every ordered pair,

    sum over i != j of |X_i E_i D_j - X_j|^2 / (n d_j) + ridge |E_i D_j|^2 / d_j,

by alternating least squares over decoders and encoders, each in closed form. With the Cholesky factors
L_i L_i^T = G_i + ridge I, F_i = L_i^T E_i and A_ij = L_i^-1 C_ij this is a low-rank factorisation of the blocks
A_ij ~ F_i D_j; blocks with i = j are not fitted, since no model is mapped to itself. For two models it converges to the
two direct reduced-rank ridges; more models share the rank.
"""

import functools as ft
import operator
from collections.abc import Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve, solve_triangular
from jaxtyping import Array as JaxArray
from jaxtyping import Float, Float32, Float64

from factory.alignment import ridge
from factory.alignment.fit import LinearMap, balanced, require_penalty, require_rank
from factory.alignment.standardise import Standard
from factory.hub.maxvar import Whitened, consensus
from factory.hub.views import ViewStatistics
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

CORRECTIONS = 8
JITTER = 1e-6  # on the diagonal of latents scaled to unit length: rounding error of float32 products


@dataclass(frozen=True, slots=True)
class HubModel:
    """One model's encoder into the hub `[d, rank]` and decoder out of it `[rank, d]`, in standardised space."""

    standard: Standard
    encoder: Array
    decoder: Array
    moments: Array  # float64 [rank]: mean squares of the latents of this model's own rows


@dataclass(frozen=True, slots=True)
class Hub:
    models: tuple[HubModel, ...]
    rows: int
    ridge: float

    def compose(self, *, source: int, target: int) -> LinearMap:
        """Return the map from one of the models into another; strongest direction of the whole hub first."""
        mine, theirs = self.models[source], self.models[target]
        encoder, decoder, scale = balanced(mine.encoder, theirs.decoder, mine.moments)
        return LinearMap(mine.standard, theirs.standard, encoder, decoder, scale, rows=self.rows, ridge=self.ridge)


def fit_hub(statistics: ViewStatistics, *, penalty: float, rank: int, corrections: int = CORRECTIONS) -> Hub:
    """Return the hub of all models; 0 corrections leave the canonical correlation with decoders fitted to it.

    The Gram matrices are donated to JAX. Raises InvalidInput where there are too few rows or features for the rank, or
    the penalty is not positive.
    """
    require_penalty(penalty)
    require_rank(rank, rows=statistics.rows, largest=sum(statistics.widths))
    models = range(len(statistics.widths))
    with jax.enable_x64(True):
        lowers = [_factor(gram, penalty) for gram in statistics.grams]
        whitened = {(i, j): ridge.whiten(lowers[i], statistics.cross(i, j)) for i in models for j in models if i != j}
        inward = consensus(lowers, whitened, ridge=penalty, rank=rank)  # F_i [d_i, rank]
        outward = _decoders(inward, whitened, statistics.widths)  # D_j [rank, d_j]
        for _ in range(corrections):
            inward, outward = _ordered(inward, outward, statistics.widths)
            inward = _encoders(outward, whitened, statistics.widths)
            outward = _decoders(inward, whitened, statistics.widths)
        inward, outward = _ordered(inward, outward, statistics.widths)
        members = [_member(statistics.standards[i], lowers[i], inward[i], outward[i], penalty) for i in models]
    return Hub(tuple(members), statistics.rows, penalty)


def _factor(gram: Float64[JaxArray, "d d"], penalty: float) -> Float32[JaxArray, "d d"]:
    lower: Float32[JaxArray, "d d"] = ridge.factor(gram, penalty).astype(jnp.float32)
    if not np.isfinite(lower[-1, -1]):
        raise InvalidInput(f"the penalty {penalty} is below the rounding error of a Gram matrix", field="penalty")
    return lower


@ft.partial(jax.jit, static_argnames="widths")
def _decoders(inward: list[jax.Array], whitened: Whitened, widths: tuple[int, ...]) -> list[jax.Array]:
    """Return D_j = (sum F_i^T F_i)^-1 sum F_i^T A_ij over i != j: ridge from the latents of all other models."""
    models = range(len(widths))
    grams = [each.T @ each for each in inward]
    return [
        _solve(
            _sum(grams[i] for i in models if i != j),
            _sum(inward[i].T @ whitened[i, j] for i in models if i != j),
        )
        for j in models
    ]


@ft.partial(jax.jit, static_argnames="widths")
def _encoders(outward: list[jax.Array], whitened: Whitened, widths: tuple[int, ...]) -> list[jax.Array]:
    """Return F_i = (sum w_j A_ij D_j^T) (sum w_j D_j D_j^T)^-1 over j != i, with the weights w_j = 1 / d_j."""
    models = range(len(widths))
    grams = [each @ each.T / width for each, width in zip(outward, widths, strict=True)]
    return [
        _solve(
            _sum(grams[j] for j in models if j != i),
            _sum(outward[j] @ whitened[i, j].T / widths[j] for j in models if j != i),
        ).T
        for i in models
    ]


def _sum(arrays: Iterable[JaxArray]) -> JaxArray:
    return ft.reduce(operator.add, arrays)


def _solve(gram: Float32[JaxArray, "r r"], right: Float32[JaxArray, "r d"]) -> Float32[JaxArray, "r d"]:
    """Return gram^-1 right, accurate for latents that differ in size by orders of magnitude or are zero."""
    scale = jnp.sqrt(jnp.diagonal(gram).astype(jnp.float64))
    inverse = jnp.where(scale > 0, 1 / jnp.where(scale > 0, scale, 1.0), 0.0)
    unit = gram.astype(jnp.float64) * inverse[:, None] * inverse[None] + JITTER * jnp.eye(len(gram))
    solved = cho_solve(cho_factor(unit), right.astype(jnp.float64) * inverse[:, None])
    return (inverse[:, None] * solved).astype(jnp.float32)


@ft.partial(jax.jit, static_argnames="widths")
def _ordered(
    inward: list[jax.Array], outward: list[jax.Array], widths: tuple[int, ...]
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Return factors of the same products F_i D_j: pooled decoders orthonormal, latents ordered by strength."""
    pooled = _sum(each @ each.T / width for each, width in zip(outward, widths, strict=True))
    values, vectors = jnp.linalg.eigh(jnp.asarray(pooled, jnp.float64))
    root = jnp.sqrt(jnp.maximum(values, JITTER**2 * values[-1]))
    into, out_of = vectors * root[None], vectors / root[None]
    inward = [_multiply(each, into) for each in inward]
    strength = _sum(each.T.astype(jnp.float64) @ each.astype(jnp.float64) for each in inward)
    _, rotation = jnp.linalg.eigh(strength)
    rotation = rotation[:, ::-1]
    return (
        [_multiply(each, rotation) for each in inward],
        [_multiply(each.T, out_of @ rotation).T for each in outward],
    )


def _multiply(tall: Float[JaxArray, "d r"], square: Float64[JaxArray, "r r"]) -> Float32[JaxArray, "d r"]:
    product: Float32[JaxArray, "d r"] = tall @ square.astype(jnp.float32)
    return product


def _member(standard: Standard, lower: jax.Array, inward: jax.Array, outward: jax.Array, penalty: float) -> HubModel:
    encoder = solve_triangular(lower, inward, lower=True, trans=1)
    # F^T F is E^T (G + ridge I) E; without the penalty's share it holds the mean squares of the latents.
    squares, own = (jnp.square(each.astype(jnp.float64)).sum(axis=0) for each in (inward, encoder))
    return HubModel(standard, np.asarray(encoder), np.asarray(outward), np.asarray(squares - penalty * own))
