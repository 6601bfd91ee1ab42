"""What the two trainings share: how their rate goes up and down, and how they average over the steps."""

import math


def rate_at(step: int, steps: int, *, warm_up: float, least: float) -> float:
    """Return the share of the full rate: up over `warm_up` steps, then down to `least` along half a cosine."""
    falling = least + (1 - least) * 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / warm_up) * falling


def kept_at(step: int, decay: float) -> float:
    """Return the weight of the average so far in a step's average: `decay` at most, less at first to forget soon."""
    return min(decay, (step + 1) / (step + 10))
