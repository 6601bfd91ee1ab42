"""KVTC's bit allocation: which runs of principal components get how many bits, by dynamic programming.

The components of a token, by falling variance, are cut into runs of 16, 64, 256 or 1 024. A run is dropped, coded with
2 or 4 bits (with a shift and a scale of 16 bits for each token), as 8-bit floats or as 16-bit floats. The plan is the
one with the least squared error on sample rows among those that take at most so many bits a token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import ml_dtypes
import numpy as np

from latentmas.protocol.tensors import Array

Kind: TypeAlias = Literal["dropped", "int2", "int4", "float8", "float16"]
CELL = 16  # components: the shortest run; costs are counted in as many bits
RUNS = (1, 4, 16, 64)  # cells
BITS: dict[Kind, int] = {"dropped": 0, "int2": 2, "int4": 4, "float8": 8, "float16": 16}
FLOAT16 = BITS["float16"]
SCALED: tuple[Kind, ...] = ("int2", "int4")  # which carry a shift and a scale for each token
LEAST_SCALE = np.float32(1e-4)
SCALE_CELLS = 2  # CELL bits each for the shift and the scale
FLOAT8_DEVIATION = 8.0  # standard deviation that a component is scaled to before it becomes an 8-bit float


@dataclass(frozen=True, slots=True)
class Run:
    """The components [first, last) and how they are coded."""

    first: int
    last: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Coded:
    """A run's symbols, its shifts and scales (none for floats), and the coefficients that they stand for."""

    symbols: tuple[Array, ...]
    bits: int  # of a symbol in the first array; the others are whole numbers of bytes
    restored: Array  # float32 [tokens, components]

    def packed(self) -> bytes:
        first, *others = self.symbols
        if self.bits < BITS["float8"]:
            first = np.packbits(np.unpackbits(first[..., None], axis=-1)[..., -self.bits :])
        return b"".join(each.tobytes() for each in (first, *others))


def code(coefficients: Array, kind: Kind, deviations: Array) -> Coded:
    """Code one run's coefficients `[tokens, components]`, whose calibrated standard deviations are `deviations`."""
    match kind:
        case "dropped":
            return Coded((np.zeros(0, np.float16),), FLOAT16, np.zeros_like(coefficients))
        case "float16":
            halves = coefficients.astype(np.float16)
            return Coded((halves,), FLOAT16, halves.astype(np.float32))
        case "float8":
            factor = np.float32(FLOAT8_DEVIATION) / deviations
            eighths = (coefficients * factor).astype(ml_dtypes.float8_e4m3fn)
            return Coded((eighths,), BITS[kind], eighths.astype(np.float32) / factor)
        case _:
            return _code_scaled(coefficients, BITS[kind])


def _code_scaled(coefficients: Array, bits: int) -> Coded:
    most = 2**bits - 1
    shift = coefficients.min(1, keepdims=True).astype(np.float16)
    span = coefficients.max(1, keepdims=True) - shift.astype(np.float32)
    scale = np.maximum(span / most, LEAST_SCALE).astype(np.float16)
    levels = np.clip(np.round((coefficients - shift.astype(np.float32)) / scale.astype(np.float32)), 0, most)
    restored = levels * scale.astype(np.float32) + shift.astype(np.float32)
    return Coded((levels.astype(np.uint8), shift, scale), bits, restored.astype(np.float32))


def costs_of(samples: Array, deviations: Array) -> dict[tuple[int, int, Kind], float]:
    """Return the mean squared error a token of each run (first cell, cells, kind) on sample rows of coefficients."""
    cells = samples.shape[1] // CELL
    found: dict[tuple[int, int, Kind], float] = {}
    for length in RUNS:
        for first in range(cells - length + 1):
            part = slice(first * CELL, (first + length) * CELL)
            for kind in BITS:
                if kind in SCALED or length == 1:
                    error = np.square(samples[:, part] - code(samples[:, part], kind, deviations[part]).restored)
                    found[first, length, kind] = float(error.sum(1).mean())
    return found


def plan(costs: dict[tuple[int, int, Kind], float], *, cells: int, bits: int) -> tuple[Run, ...]:
    """Return the runs with the least error that take at most so many bits a token."""
    budget = bits // CELL
    best = np.full((cells + 1, budget + 1), np.inf)
    best[0] = 0.0
    chosen: dict[int, list[tuple[int, Kind]]] = {first: [] for first in range(cells + 1)}
    choice = np.full((cells + 1, budget + 1), -1, np.int16)
    for last in range(1, cells + 1):
        for number, (length, kind, price, error) in enumerate(_ending(costs, last)):
            chosen[last].append((length, kind))
            if price > budget:
                continue
            total = best[last - length, : budget + 1 - price] + error
            better = total < best[last, price:]
            best[last, price:][better] = total[better]
            choice[last, price:][better] = number
    return tuple(reversed(list(_followed(chosen, choice, cells, budget))))


def _ending(costs: dict[tuple[int, int, Kind], float], last: int) -> Iterator[tuple[int, Kind, int, float]]:
    """Yield the runs that end at a cell: length in cells, kind, price in units of CELL bits, error."""
    for length in RUNS:
        for kind in BITS:
            if (error := costs.get((last - length, length, kind))) is not None:
                yield length, kind, price_of(length, kind), error


def price_of(cells: int, kind: Kind) -> int:
    """Return what a run takes for each token, in units of CELL bits."""
    return cells * BITS[kind] + (SCALE_CELLS if kind in SCALED else 0)


def _followed(chosen: dict[int, list[tuple[int, Kind]]], choice: Array, cells: int, budget: int) -> Iterator[Run]:
    last, left = cells, budget
    while last:
        length, kind = chosen[last][choice[last, left]]
        yield Run((last - length) * CELL, last * CELL, kind)
        left -= price_of(length, kind)
        last -= length


def used(runs: Sequence[Run]) -> int:
    """Return how many components are coded at all, counted from the first."""
    return max((run.last for run in runs if run.kind != "dropped"), default=0)
