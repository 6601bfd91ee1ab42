"""The output of a coding: named arrays that encode a snapshot's keys and values.

Layers of a sliding-window model hold different tokens; entries that a layer does not hold take no bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

Coding = Literal["raw", "quantised", "transform"]
CODINGS: tuple[Coding, ...] = get_args(Coding)
Span: TypeAlias = tuple[int, int]  # first token and the one after the last
LARGEST = 65_504.0  # of float16


@dataclass(frozen=True, slots=True)
class Encoded:
    """Named arrays and the parameters that decoding needs, as canonical plain data (decimals are text)."""

    coding: Coding
    parameters: dict[str, Any]
    sections: dict[str, Array]  # of the types in `latentmas.protocol.tensors.DTYPES`

    @property
    def size(self) -> int:
        """Bytes of all sections."""
        return sum(array.nbytes for array in self.sections.values())


def require_sections(encoded: Encoded, wanted: dict[str, tuple[str, tuple[int | None, ...]]]) -> None:
    """Raise InvalidInput unless the sections are exactly those wanted: dtype and shape, None for any extent."""
    if unlike := sorted(set(encoded.sections) ^ set(wanted)):
        verb = "lacks" if unlike[0] in wanted else "does not know"
        raise InvalidInput(f"the coding {encoded.coding!r} {verb} the section {unlike[0]!r}", field=unlike[0])
    for name, (dtype, shape) in wanted.items():
        array = encoded.sections[name]
        fits = len(array.shape) == len(shape) and all(
            extent in (None, actual) for extent, actual in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtype or not fits:
            raise InvalidInput(
                f"the section {name!r} is {array.dtype} {array.shape}; this snapshot needs {dtype} {shape}", field=name
            )


def tokens_in(spans: Sequence[Span]) -> int:
    """Return how many tokens the spans hold together."""
    return sum(last - first for first, last in spans)


def gather(array: Array, spans: Sequence[Span]) -> Array:
    """Return the span of every layer of `[layers, tokens, ...]`, laid end to end in one dimension."""
    return np.concatenate([layer[first:last].reshape(-1) for layer, (first, last) in zip(array, spans, strict=True)])


def scatter(flat: Array, spans: Sequence[Span], target: Array) -> None:
    """Write what `gather` returned back into its places in `target`."""
    start = 0
    for layer, (first, last) in zip(target, spans, strict=True):
        part = layer[first:last]
        part[...] = flat[start : start + part.size].reshape(part.shape)
        start += part.size


def fits_float16(*arrays: Array) -> bool:
    """Return whether every number in the arrays lies within the range of float16."""
    return all(max(array.max(initial=0), -array.min(initial=0)) <= LARGEST for array in arrays)
