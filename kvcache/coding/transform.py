"""The transform code (design: un-rotate, centre, weight by sensitivity, decorrelate, quantise, entropy-code).

`kvcache.coding.transform_decoding` is the inverse; both use the parameters, tiles, blocks and tables defined here.
Symbols, exponents and stored rows are bit-exact on every machine; the floating-point sums that turn them back into
keys and values may differ in their last bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from kvcache.coding import entropy
from kvcache.coding.coordinates import Coordinates, coordinates
from kvcache.coding.encoded import Encoded
from kvcache.coding.profile import Group, OpenedProfile
from kvcache.kernels import coefficient_classes as classes
from kvcache.kernels import transform
from kvcache.kernels.tiles import in_tiles
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

CODING: Final = "transform"
FINEST, COARSEST = -400, 200  # steps, sixteenths of an octave
CODED_TOGETHER = 4096  # tokens in a tile, whose blocks are coded before those of the next


@dataclass(frozen=True, slots=True)
class Parameters:
    """`sink`: the first token is the profile's BOS entry. Raises InvalidInput for an impossible step."""

    step: int
    sink: bool
    exact: int  # tokens stored as they are

    def __post_init__(self) -> None:
        if not FINEST <= self.step <= COARSEST:
            raise InvalidInput(f"step is {self.step}; it must lie between {FINEST} and {COARSEST}", field="step")


def encode(snapshot: KVSnapshot, *, profile: OpenedProfile, step: int) -> Encoded:
    """Return the snapshot coded at a step, in sixteenths of an octave. Raises InvalidInput."""
    return encode_coordinates(coordinates(snapshot, profile=profile), step=step)


def encode_coordinates(found: Coordinates, *, step: int) -> Encoded:
    """Return the code of a snapshot that is in a profile's coordinates already. Raises InvalidInput."""
    parameters: Any = msgspec.to_builtins(Parameters(step, found.sink, len(found.exact)))
    escapes: list[Array] = []
    runs = list(_runs(found, step, escapes))
    sections = {
        "exponents": (found.exponents - classes.LEAST_EXPONENT).astype(np.uint8),
        "code": entropy.encode_runs(runs),
    }
    if escapes:
        sections["escapes"] = np.concatenate(escapes)
    if len(found.exact):
        sections |= {"exact": found.exact, "exact_rows": found.exact_rows}
    return Encoded(CODING, parameters, sections)


def _runs(found: Coordinates, step: int, escapes: list[Array]) -> Iterator[tuple[Array, Array]]:
    """Yield all symbols, block by block, with their tables."""
    for part in found.parts:
        steps = classes.token_steps(step, found.exponents[part.tokens])
        for tile in tiles(len(part.tokens)):
            symbols = in_tiles(transform.quantise, part.coefficients[tile], steps[tile])
            for rows, block in blocks(part.group, steps[tile]):
                run = symbols[rows, block.first : block.last].reshape(-1)
                yield from _runs_of(run, block, found.profile, escapes)


def _runs_of(
    run: Array, block: classes.Block, profile: OpenedProfile, escapes: list[Array]
) -> Iterator[tuple[Array, Array]]:
    """Yield a block's symbols with their frozen table, then its low bits where they are coded apart."""
    limit, table = frozen_table(block, profile)
    high = run >> block.shift
    wild = np.abs(high) > limit
    if wild.any():
        escapes.append(high[wild])
        high = np.where(wild, limit + 1, high)
    yield high + limit, table
    if block.shift:
        yield run & ((1 << block.shift) - 1), low_bits_table(block)


def tiles(tokens: int) -> Iterator[slice]:
    """Yield the tiles, runs of at most `CODED_TOGETHER` tokens."""
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

    The symbols are -limit to limit and, last, the escape for larger values.
    """
    limit = int(profile.limits[block.number])
    return limit, profile.frequencies[block.number, : 2 * limit + 2]


def low_bits_table(block: classes.Block) -> Array:
    """Return the table of the low bits that are coded apart: equal frequencies."""
    return np.ones(1 << block.shift, np.int64)
