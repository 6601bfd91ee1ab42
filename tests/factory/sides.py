"""Paired rows of several models that share factors."""

from collections.abc import Callable, Iterator

import numpy as np

ROWS = 1024  # a multiple of the chunks: every shape is compiled once
Sides = tuple[np.ndarray, ...]


def make_sides(*widths: int, factors: int = 12, noise: float = 0.3, rows: int = ROWS, seed: int = 0) -> Sides:
    """Return rows of several models `[rows, width]` that share factors of falling strength, with noise."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(rows, factors)) * np.geomspace(2.0, 0.5, factors)
    return tuple(
        (shared @ generator.normal(size=(factors, width)) + noise * generator.normal(size=(rows, width)) + 3).astype(
            "f4"
        )
        for width in widths
    )


def in_chunks(*sides: np.ndarray, size: int = 256) -> Callable[[], Iterator[Sides]]:
    """Return the rows of all sides in chunks, as often as they are asked for."""
    return lambda: (tuple(side[at : at + size] for side in sides) for at in range(0, len(sides[0]), size))


def standardised(side: np.ndarray) -> np.ndarray:
    """The textbook's: zero mean and unit variance, in float64."""
    exact = side.astype("f8")
    return (exact - exact.mean(axis=0)) / exact.std(axis=0)
