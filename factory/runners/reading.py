"""What a model is to read, and which of it together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from transformers import DynamicCache

PACK_TOKENS = 256  # read together: products of more rows are no faster a row, and every reading brings a cache


@dataclass(slots=True)
class Reading:
    """Tokens that a model reads after a cache, which is extended by them; the NLL of the last `scored` is asked for.

    If it is `watched`, `attention` gets the attention output of each layer `[tokens - 1, width]` before its projection.
    """

    cache: "DynamicCache"
    ids: Sequence[int]
    scored: int
    watched: bool = False
    attention: list[Array] = field(default_factory=list)


def packs_of(readings: Iterable[Reading]) -> Iterator[list[Reading]]:
    """Yield the readings that are taken together, as soon as they have PACK_TOKENS."""
    pack: list[Reading] = []
    for reading in readings:
        pack.append(reading)
        if sum(len(each.ids) for each in pack) >= PACK_TOKENS:
            yield pack
            pack = []
    if pack:
        yield pack
