"""Freeze the tables of a codec profile: how often each symbol of each class occurs, counted on calibration rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kvcache.coding.coordinates import Coordinates
from kvcache.coding.transform import blocks
from kvcache.kernels import coefficient_classes as classes
from kvcache.kernels import transform
from latentmas.protocol.tensors import Array

WIDEST = 127  # magnitude with a symbol of its own; rarer ones escape
RARE = 1e-5  # a magnitude with a smaller share has no symbol of its own
TOTAL = 1 << 20  # sum of a table's frequencies
PRIOR = 0.5  # occurrences that every symbol is credited with
DEFAULT_SHRINK = 0.05  # steps, where a class never occurred


@dataclass(frozen=True, slots=True)
class Tables:
    frequencies: Array  # int32 [classes, symbols]
    limits: Array  # int32 [classes]
    shrink: Array  # float32 [classes, 2]


def freeze(samples: Iterable[Coordinates], *, steps: Sequence[int]) -> Tables:
    """Return the tables counted on the samples at all of the steps."""
    counts = np.zeros((classes.CLASSES, 2 * WIDEST + 2))
    distance = np.zeros((classes.CLASSES, 2, 2))  # sum of (magnitude - value) and count, for magnitude 1 and above
    for sample in samples:
        for step in steps:
            _count(sample, step, counts, distance)
    limits = np.array([_limit(row) for row in counts], np.int32)
    frequencies = np.zeros((classes.CLASSES, 2 * int(limits.max()) + 2), np.int32)
    for number, (row, limit) in enumerate(zip(counts, limits, strict=True)):
        frequencies[number, : 2 * limit + 2] = _frozen(row, int(limit))
    with np.errstate(invalid="ignore"):
        shrink = distance[..., 0] / distance[..., 1]
    return Tables(frequencies, limits, np.nan_to_num(shrink, nan=DEFAULT_SHRINK).astype(np.float32))


def _count(sample: Coordinates, step: int, counts: Array, distance: Array) -> None:
    for part in sample.parts:
        steps = classes.token_steps(step, sample.exponents[part.tokens])
        symbols = np.asarray(transform.quantise(part.coefficients, steps))
        exact = np.abs(part.coefficients) / classes.step_size(1) ** steps[:, None].astype(np.float32)
        for rows, block in blocks(part.group, steps):
            run = symbols[rows, block.first : block.last].reshape(-1)
            high = run >> block.shift
            known = np.clip(high, -WIDEST - 1, WIDEST + 1) + WIDEST
            known[(known < 0) | (known > 2 * WIDEST)] = 2 * WIDEST + 1
            counts[block.number] += np.bincount(known, minlength=2 * WIDEST + 2)
            magnitude = np.abs(run)
            error = magnitude - exact[rows, block.first : block.last].reshape(-1)
            for column, chosen in enumerate((magnitude == 1, magnitude > 1)):
                distance[block.number, column] += error[chosen].sum(), chosen.sum()


def _limit(row: Array) -> int:
    """Return the largest magnitude that is worth a symbol of its own."""
    total = row.sum()
    if not total:
        return 1
    by_magnitude = row[WIDEST : 2 * WIDEST + 1].copy()
    by_magnitude[1:] += row[WIDEST - 1 :: -1][:WIDEST]
    usual = np.flatnonzero(by_magnitude > RARE * total)
    return max(1, int(usual[-1]) if len(usual) else 1)


def _frozen(row: Array, limit: int) -> Array:
    """Return whole frequencies of the symbols -limit to limit and, last, of everything else."""
    inside = row[WIDEST - limit : WIDEST + limit + 1]
    counted = np.append(inside, row.sum() - inside.sum()) + PRIOR
    return np.asarray(np.maximum(1, np.round(counted / counted.sum() * TOTAL)).astype(np.int32))
