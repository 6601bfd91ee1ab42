"""Mean and scale of each feature, streamed in float64."""

from dataclasses import dataclass

import numpy as np

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

# A dead feature must not be blown up. Gemma's key norm leaves 74 of 9 216 features at almost nothing; what rounding in
# bfloat16 or a rare token puts there was 800 standard deviations, and spoilt whole rows.
SCALE_FLOOR = 1e-2  # of the median scale
LEAST_FLOOR = 1e-6  # of the largest, where more than half of the features are dead


@dataclass(frozen=True, slots=True)
class Standard:
    """`mean` and `scale` `[features]`, float32; `scale` is the standard deviation, never zero."""

    mean: Array
    scale: Array

    def apply(self, rows: Array) -> Array:
        standardised: Array = (rows - self.mean) / self.scale
        return standardised


@dataclass(slots=True)
class Moments:
    """Running count, weight, sum and sum of squares of rows `[rows, features]`."""

    count: int = 0
    weight: float = 0.0  # the rows' number where they bear no weights
    shift: Array | None = None
    total: Array | float = 0.0
    squares: Array | float = 0.0

    def add(self, rows: Array, *, weights: Array | None = None) -> None:
        """Add rows `[rows, features]`, each counting 1 or as often as `weights` `[rows]` say."""
        # Around the first row, so that a large mean does not cancel the digits of a small variance.
        self.shift = rows[0].copy() if self.shift is None else self.shift
        centred = rows - self.shift[None]
        self.count += len(rows)
        if weights is None:
            self.weight += len(rows)
            self.total = self.total + centred.sum(axis=0, dtype=np.float64)
            self.squares = self.squares + np.einsum("ij,ij->j", centred, centred, dtype=np.float64)
        else:
            self.weight += float(weights.sum(dtype=np.float64))
            self.total = self.total + np.einsum("i,ij->j", weights, centred, dtype=np.float64)
            self.squares = self.squares + np.einsum("i,ij,ij->j", weights, centred, centred, dtype=np.float64)

    def standard(self) -> Standard:
        """Return mean and standard deviation. Raises InvalidInput where there were no rows, or none that is finite."""
        if self.shift is None or not self.weight > 0:
            raise InvalidInput("there are no rows to standardise")
        if not np.isfinite(self.squares).all():
            raise InvalidInput("the rows hold values that are not finite", resolution="Capture the rows again.")
        mean = self.total / self.weight
        scale = np.sqrt(np.maximum(self.squares / self.weight - np.square(mean), 0.0))
        # Rows that are all alike have no scale at all; 1 leaves them the zeros that they become.
        floor = max(SCALE_FLOOR * float(np.median(scale)), LEAST_FLOOR * float(scale.max()))
        scale = np.maximum(scale, floor) if floor > 0 else np.ones_like(scale)
        return Standard((mean + self.shift).astype(np.float32), scale.astype(np.float32))


def standard_of(rows: Array) -> Standard:
    """Return mean and standard deviation of rows that are in memory."""
    moments = Moments()
    moments.add(rows)
    return moments.standard()
