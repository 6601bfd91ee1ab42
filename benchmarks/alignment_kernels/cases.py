"""What `alignment_kernels` compares: every kernel, what one writes in numpy or scipy instead, and their difference."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import scipy.linalg

from factory.alignment import gram, ridge
from kvcache.exchange.mapping import open_map

Arguments = Callable[[], tuple[Any, ...]]
PENALTY = 0.03
BAR, SYMMETRIC_BAR = 1.1, 2.0


@dataclass(frozen=True, slots=True)
class Sizes:
    rows: int
    source: int
    target: int
    rank: int
    tokens: int
    tall: int


@dataclass(frozen=True, slots=True)
class Case:
    """`fresh` and `fresh_peer` give the arguments of one run, outside the clock: some kernels use up their input."""

    name: str
    ours: Callable[..., Any]
    fresh: Arguments
    peer: Callable[..., Any]
    fresh_peer: Arguments
    difference: Callable[[Any, Any], float]
    bar: float = BAR


def relative(mine: Any, theirs: Any) -> float:
    """Return the relative difference in the Frobenius norm."""
    exact = np.asarray(theirs)
    return float(np.linalg.norm(np.asarray(mine) - exact) / np.linalg.norm(exact))


def activations(rows: int, width: int, *, seed: int) -> np.ndarray:
    """Return standardised rows like a model's: few strong directions, many weak ones."""
    generator = np.random.default_rng(seed)
    factors = min(rows, width) // 4
    shared = generator.standard_normal((rows, factors), dtype=np.float32) * np.geomspace(1, 0.02, factors, dtype="f4")
    table = shared @ generator.standard_normal((factors, width), dtype=np.float32)
    table /= table.std(axis=0)
    return table + np.float32(0.1) * generator.standard_normal((rows, width), dtype=np.float32)


def cross_product(sizes: Sizes) -> Case:
    x, y = activations(sizes.rows, sizes.source, seed=1), activations(sizes.rows, sizes.target, seed=2)
    on_device = jnp.asarray(x), jnp.asarray(y)

    def peer(total: np.ndarray) -> np.ndarray:
        total += x.T @ y
        return total

    shape = (sizes.source, sizes.target)
    return Case(
        name="X'Y added to float64",
        ours=gram.add_product,
        fresh=lambda: (jax.block_until_ready(jnp.zeros(shape)), *on_device),
        peer=peer,
        fresh_peer=lambda: (touched(shape),),
        difference=relative,
    )


def symmetric_product(sizes: Sizes) -> Case:
    x = activations(sizes.rows, sizes.source, seed=1)
    on_device = jnp.asarray(x)

    def peer(total: np.ndarray) -> np.ndarray:
        total += x.T @ x
        return total

    return Case(
        name="X'X added to float64",
        ours=gram.add_own,
        fresh=lambda: (jax.block_until_ready(gram.empty_strips(sizes.source)), on_device),
        peer=peer,
        fresh_peer=lambda: (touched((sizes.source, sizes.source)),),
        difference=lambda strips, theirs: relative(np.tril(gram.assemble(strips, 1.0)), np.tril(theirs)),
        bar=SYMMETRIC_BAR,
    )


def cholesky(sizes: Sizes) -> Case:
    matrix = gram_of(sizes)
    return Case(
        name="Cholesky, float64",
        ours=lambda lower: ridge.factor(lower, PENALTY),
        fresh=lambda: (jax.block_until_ready(jnp.array(matrix)),),
        peer=lambda lower: scipy.linalg.cholesky(lower, lower=True, check_finite=False),
        fresh_peer=lambda: (matrix + PENALTY * np.eye(len(matrix)),),
        difference=relative,
    )


def triangular_solve(sizes: Sizes) -> Case:
    lower = np.linalg.cholesky(gram_of(sizes) + PENALTY * np.eye(sizes.source)).astype("f4")
    cross = activations(sizes.source, sizes.target, seed=3)
    on_device = jnp.asarray(lower), jnp.asarray(cross)
    return Case(
        name="triangular solve",
        ours=ridge.whiten,
        fresh=lambda: on_device,
        peer=lambda left, right: scipy.linalg.solve_triangular(left, right, lower=True, check_finite=False),
        fresh_peer=lambda: (lower, cross),
        difference=relative,
    )


def directions(sizes: Sizes) -> Case:
    matrix = activations(sizes.source, sizes.target, seed=4)
    on_device = jnp.asarray(matrix)
    width = min(sizes.rank + ridge.OVERSAMPLING, sizes.target)
    start = np.asarray(jr.normal(jr.key(0), (sizes.target, width), dtype=jnp.float32))

    def peer() -> np.ndarray:
        basis = start
        for _ in range(ridge.ITERATIONS):
            basis = scipy.linalg.qr(matrix.T @ (matrix @ basis), mode="economic", check_finite=False)[0]
        image = matrix @ basis
        rotation = scipy.linalg.eigh(image.T @ image, check_finite=False)[1]
        return basis @ rotation[:, ::-1][:, : sizes.rank]

    return Case(
        name="leading directions",
        ours=lambda given: ridge.leading_directions(given, rank=sizes.rank),
        fresh=lambda: (on_device,),
        peer=peer,
        fresh_peer=tuple,
        # The directions of a flat end of the spectrum are anything; what they hold of the matrix is not.
        difference=lambda mine, theirs: relative(held(matrix, np.asarray(mine)), held(matrix, theirs)),
    )


def procrustes(sizes: Sizes) -> Case:
    matrix = activations(sizes.source, sizes.target, seed=5)
    on_device = jnp.asarray(matrix)
    basis = np.asarray(ridge.leading_directions(on_device, rank=sizes.rank))

    def peer() -> np.ndarray:
        left, _, right = np.linalg.svd(matrix @ basis, full_matrices=False)
        return left @ right

    def ours(image: jax.Array) -> jax.Array:
        left, _, right = jnp.linalg.svd(image, full_matrices=False)
        return left @ right

    return Case(
        name="Procrustes of the image",
        ours=jax.jit(lambda given: ours(given @ basis)),
        fresh=lambda: (on_device,),
        peer=peer,
        fresh_peer=tuple,
        difference=relative,
    )


def transfer(sizes: Sizes) -> Case:
    rows = activations(sizes.tokens, sizes.source, seed=7)
    encoder, decoder = activations(sizes.source, sizes.rank, seed=8), activations(sizes.rank, sizes.target, seed=9)
    widths = {"source": sizes.source, "target": sizes.target}
    rules = {f"{side}_{rule}": np.ones(width, "f4") for side, width in widths.items() for rule in ("mean", "scale")}
    opened = open_map({"encoder": encoder, "decoder": decoder, **rules})

    def peer() -> np.ndarray:
        standardised = (rows - rules["source_mean"]) / rules["source_scale"]
        return standardised @ encoder @ decoder * rules["target_scale"] + rules["target_mean"]

    return Case(
        name="align rows",
        ours=opened.apply,
        fresh=lambda: (rows,),
        peer=peer,
        fresh_peer=tuple,
        difference=relative,
    )


def gram_of(sizes: Sizes) -> np.ndarray:
    rows = activations(sizes.rows, sizes.source, seed=1)
    return (rows.T @ rows / len(rows)).astype("f8")


def touched(shape: tuple[int, int]) -> np.ndarray:
    """Return zeros whose pages are there already, as those of an array that JAX has made are."""
    array = np.empty(shape)
    array.fill(0.0)
    return array


def projected(matrix: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return basis @ (basis.T @ matrix)


def held(matrix: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return how much of the matrix lies in each direction."""
    return np.linalg.norm(matrix @ basis, axis=0)


CASES: tuple[Callable[[Sizes], Case], ...] = (
    cross_product,
    symmetric_product,
    cholesky,
    triangular_solve,
    directions,
    procrustes,
    transfer,
)
