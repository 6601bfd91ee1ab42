"""Small paired rows with shared factors, and JAX refusing silent promotion of ranks."""

from collections.abc import Callable, Iterator

import jax
import numpy as np
import pytest

ROWS = 1024  # a multiple of the chunks: every shape is compiled once
Sides = tuple[np.ndarray, ...]
MakeSides = Callable[..., Sides]


@pytest.fixture(autouse=True)
def _no_rank_promotion() -> Iterator[None]:
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def make_sides() -> MakeSides:
    """Return rows of several models `[ROWS, width]` that share factors of falling strength, with noise."""

    def make(*widths: int, factors: int = 12, noise: float = 0.3, rows: int = ROWS, seed: int = 0) -> Sides:
        generator = np.random.default_rng(seed)
        shared = generator.normal(size=(rows, factors)) * np.geomspace(2.0, 0.5, factors)
        return tuple(
            (
                shared @ generator.normal(size=(factors, width)) + noise * generator.normal(size=(rows, width)) + 3
            ).astype("f4")
            for width in widths
        )

    return make


def in_chunks(*sides: np.ndarray, size: int = 256) -> Callable[[], Iterator[Sides]]:
    """Return the rows of all sides in chunks, as often as they are asked for."""
    return lambda: (tuple(side[at : at + size] for side in sides) for at in range(0, len(sides[0]), size))


def standardised(side: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The textbook's: zero mean and unit variance, in float64."""
    exact = side.astype("f8")
    mean = np.average(exact, axis=0, weights=weights)
    return (exact - mean) / np.sqrt(np.average(np.square(exact - mean), axis=0, weights=weights))
