"""Means with their 95 % intervals: a percentile bootstrap over what was drawn independently, such as text windows."""

from collections.abc import Sequence

import numpy as np

RESAMPLES, SEED = 4000, 20260801  # fixed: the same figures give the same interval
TAIL = 0.025


def mean_interval(values: Sequence[float]) -> list[float]:
    """Return the mean, the interval's lower end and its upper end."""
    figures = np.asarray(values, np.float64)
    draws = np.random.default_rng(SEED).integers(0, len(figures), (RESAMPLES, len(figures)))
    low, high = np.quantile(figures[draws].mean(axis=1), [TAIL, 1 - TAIL])
    return [float(figures.mean()), float(low), float(high)]
