"""One of several slices of some work, for one of several workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Slice:
    """Slice `number`, from 0, of `count`."""

    number: int
    count: int

    def of(self, items: Sequence[T], *, weights: Sequence[int] | None = None) -> list[T]:
        """Return the neighbouring items that are this slice's; all slices hold about the same number, or weight."""
        ends = list(accumulate(weights if weights is not None else [1] * len(items)))
        whole = ends[-1] if ends else 0
        # An item belongs where its middle lies.
        middles = (end - (end - begin) / 2 for begin, end in zip([0, *ends], ends, strict=False))
        slices = (min(int(middle * self.count / whole), self.count - 1) for middle in middles)
        return [item for item, each in zip(items, slices, strict=True) if each == self.number]


WHOLE = Slice(0, 1)


def slices(count: int) -> list[Slice]:
    return [Slice(number, count) for number in range(count)]
