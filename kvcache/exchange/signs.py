"""What is seen of one memory while it is aligned: the signs that a forecast of its retention rests on.

Each is the logarithm of a figure that is about 1, or far below it, for a memory like those of calibration:

* `distance`: of its tokens in the latent space, in units of calibration (`kvcache.exchange.quality`).
* `unexplained`: how much of the standardised source rows lies outside of what the encoder can see, as a share.
* `innovation`: mean square of what the target's first layers turn out to be minus their prediction, in standard
  deviations; only where the receiver gives them.
* `length`: tokens of the context.
"""

from dataclasses import dataclass

import numpy as np

from latentmas.protocol.tensors import Array

DISTANCE, UNEXPLAINED, INNOVATION, LENGTH = SIGNS = ("distance", "unexplained", "innovation", "length")
LEAST = 1e-6  # what a logarithm is taken of


@dataclass(frozen=True, slots=True)
class Seen:
    """Figures of a memory's single tokens `[tokens]`, None where they are not known."""

    tokens: int  # of the whole context
    distances: Array | None = None
    unexplained: Array | None = None
    innovations: Array | None = None  # mean squares

    def signs(self) -> dict[str, float]:
        """Return the signs that are known, by name: medians over the tokens, but the mean of the innovations."""
        figures: dict[str, float] = {LENGTH: self.tokens}
        if self.distances is not None:
            figures[DISTANCE] = float(np.median(self.distances))
        if self.unexplained is not None:
            figures[UNEXPLAINED] = float(np.median(self.unexplained))
        if self.innovations is not None:
            figures[INNOVATION] = float(np.mean(self.innovations))
        return {name: float(np.log(max(figure, LEAST))) for name, figure in figures.items()}
