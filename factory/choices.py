"""What a fit between caches leaves open: the penalty, chosen once, and the unified dimension, chosen each time."""

from collections.abc import Mapping

RIDGE = 0.03  # on the diagonal of the standardised Gram matrix, which is 1; benchmarks/ridge.py chose it
TOLERANCE = 0.005  # of (information) retention: the smallest du this close to the best is taken


def smallest_good(trials: Mapping[int, float]) -> int:
    """Return the smallest unified dimension that is nearly as good as the best of `{du: retention}`."""
    best = max(trials.values())
    return min(dimension for dimension, kept in trials.items() if kept >= best - TOLERANCE)
