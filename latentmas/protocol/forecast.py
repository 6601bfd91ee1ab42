"""What retention to expect of one memory, by signs that are seen before the target reads it.

A certificate speaks of registers; a forecast speaks of this very memory. It is a linear model that was fitted on
selection documents whose retention was measured, and a W-Matrix carries it in its document.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Interval, TokenMode


@dataclass(frozen=True, slots=True)
class Forecast:
    """A linear model of a memory's retention. Raises InvalidInput where its parts do not fit together.

    A sign is standardised by its `mean` and `scale` over the `memories` that the model was fitted on. `coefficients`
    are the intercept's and then each sign's; `covariance` is theirs, in units of the squared `spread`, the standard
    deviation of single memories around the model. `quantile` is Student's for a 95 % interval.
    """

    mode: TokenMode  # how the memories were handed over
    signs: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    spread: float
    quantile: float
    memories: int

    def __post_init__(self) -> None:
        signs, parts = len(self.signs), len(self.signs) + 1
        fits = (
            (len(self.mean), len(self.scale), len(self.coefficients)) == (signs, signs, parts)
            and [len(row) for row in self.covariance] == [parts] * parts
            and all(scale > 0 for scale in self.scale)
        )
        numbers = (*self.mean, *self.scale, *self.coefficients, *sum(self.covariance, ()), self.spread, self.quantile)
        if not fits or not all(map(math.isfinite, numbers)):
            raise InvalidInput(f"a forecast of {signs} signs has parts of other lengths, or numbers that cannot be")

    def of(self, seen: Mapping[str, float]) -> Interval:
        """Return the retention to expect of a memory with these signs, with the 95 % interval of a single memory.

        Values are not clamped: a memory may be expected to be worse than none.
        """
        values = np.array([seen[name] for name in self.signs])
        features = np.concatenate([[1.0], (values - self.mean) / np.array(self.scale)])
        value = float(features @ self.coefficients)
        uncertain = float(features @ np.array(self.covariance) @ features)
        reach = self.quantile * self.spread * math.sqrt(1 + max(uncertain, 0.0))
        return Interval(value, value - reach, value + reach)
