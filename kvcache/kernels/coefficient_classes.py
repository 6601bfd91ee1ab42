"""Classes of coefficients: standard deviation ("spread") over the token's step selects the frozen table that codes one.

Both are base-2 logarithms in whole sixteenths (of an octave, a factor of two), so that every machine selects the same
table. A class is a quarter of an octave wide.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latentmas.protocol.tensors import Array

UNITS = 16  # per octave
CLASS_UNITS = 4
LOWEST = -24  # units: below a spread of 2^-1.5 steps a coefficient is not coded; it would nearly always be zero
COARSE = 64  # units: above a spread of 16 steps the low bits of a coefficient are coded with equal probabilities
CLASSES = 46  # up to a spread of 2^10 steps
EXPONENT_UNITS = 4  # a token's exponent is in quarters of an octave
LEAST_EXPONENT, MOST_EXPONENT = -8, 16


@dataclass(frozen=True, slots=True)
class Block:
    """Columns [first, last) of some tokens' coefficients, all of class `number`; `shift` low bits are coded apart."""

    first: int
    last: int
    number: int
    shift: int


def step_size(step: int) -> float:
    """Return the quantiser's step, in units of weighted coefficients."""
    return float(2.0 ** (step / UNITS))


def token_steps(step: int, exponents: Array) -> Array:
    """Return the steps of tokens, int32 `[tokens]`; an exponent above 0 makes a token's finer."""
    return (step - EXPONENT_UNITS * exponents).astype(np.int32)


def blocks(levels: Array, step: int) -> Iterator[Block]:
    """Yield the blocks of columns with non-increasing `levels` `[rank]`; columns after the last are not coded."""
    numbers = class_numbers(levels, step)
    coded = int(np.searchsorted(-numbers, 0, side="right"))  # numbers never rise either
    edges = np.flatnonzero(np.diff(numbers[:coded])) + 1
    for first, last in zip([0, *edges], [*edges, coded], strict=True):
        if first < last:
            number = int(numbers[first])
            yield Block(int(first), int(last), number, shift_of(number))


def class_numbers(levels: Array, step: int) -> Array:
    """Return the class of each column, below 0 where it is not coded."""
    return np.minimum((levels.astype(np.int64) - step - LOWEST) // CLASS_UNITS, CLASSES - 1)


def shift_of(number: int) -> int:
    """Return how many low bits of a class's coefficients are coded apart, with equal probabilities."""
    return max(0, (LOWEST + number * CLASS_UNITS - COARSE) // UNITS + 1)
