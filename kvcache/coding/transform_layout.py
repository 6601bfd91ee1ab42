"""What both ends of the transform code agree on: its parameters, the order of the coefficients, and their tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from kvcache.coding import coefficient_classes as classes
from kvcache.coding.profile import Group, OpenedProfile
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

CODING: Final = "transform"
FINEST, COARSEST = -400, 200  # steps, sixteenths of an octave
CODED_TOGETHER = 4096  # tokens whose blocks are gathered before the next ones


@dataclass(frozen=True, slots=True)
class Parameters:
    """`sink`: the first token is the profile's BOS entry. Raises InvalidInput for an impossible step."""

    step: int
    sink: bool
    exact: int  # tokens stored as they are

    def __post_init__(self) -> None:
        if not FINEST <= self.step <= COARSEST:
            raise InvalidInput(f"step is {self.step}; it must lie between {FINEST} and {COARSEST}", field="step")


def tiles(tokens: int) -> Iterator[slice]:
    """Yield the runs of tokens that are coded together."""
    for start in range(0, tokens, CODED_TOGETHER):
        yield slice(start, min(start + CODED_TOGETHER, tokens))


def blocks(group: Group, steps: Array) -> Iterator[tuple[Array, classes.Block]]:
    """Yield, for each step that occurs, the rows with it and each block of their columns."""
    for step in np.unique(steps):
        rows = np.flatnonzero(steps == step)
        for block in classes.blocks(group.levels, int(step)):
            yield rows, block


def frozen_table(block: classes.Block, profile: OpenedProfile) -> tuple[int, Array]:
    """Return a block's largest magnitude with a symbol of its own, and the table of its symbols.

    They are -limit to limit and, last, one for everything else.
    """
    limit = int(profile.limits[block.number])
    return limit, profile.frequencies[block.number, : 2 * limit + 2]


def low_bits_table(block: classes.Block) -> Array:
    """Return the table of the low bits that are coded apart: all alike."""
    return np.ones(1 << block.shift, np.int64)
