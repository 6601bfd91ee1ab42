"""Decoding of the transform code; the input is untrusted and fully checked."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import jax
import msgspec
import numpy as np

from kvcache.coding import entropy
from kvcache.coding.coordinates import basis_of, columns, segments, sink_columns
from kvcache.coding.encoded import Encoded
from kvcache.coding.profile import Group, OpenedProfile
from kvcache.coding.transform import Parameters, blocks, frozen_table, low_bits_table, tiles
from kvcache.kernels import coefficient_classes as classes
from kvcache.kernels import transform
from kvcache.kernels.tiles import in_tiles, product
from kvcache.rows import unpack_rows
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import SnapshotFrame
from latentmas.protocol.tensors import Array

COMMON_SHARE = 0.75  # of the tokens have all coefficients in the columns that are multiplied for every token
COLUMNS = 256  # numbers of columns are rounded up to this: few shapes to compile


def decode(encoded: Encoded, frame: SnapshotFrame, *, profile: OpenedProfile) -> tuple[Array, Array]:
    """Return keys and values, float32. Raises InvalidInput for damaged sections or a profile of another cache."""
    profile.accept(frame)
    parameters = _parameters(encoded)
    stored = _stored(encoded, parameters, frame)
    steps = classes.token_steps(parameters.step, _exponents(encoded, frame))
    plan = list(_plan(frame, profile, stored, steps))
    decoded = iter(_decoded_runs(encoded, profile, plan))
    escapes = _Escapes(encoded.sections.get("escapes"))
    rows = np.zeros((frame.tokens, frame.geometry.width), np.float32)
    for tile in plan:
        restored = _restored(_symbols(tile, decoded, profile, escapes), tile, profile)
        if tile.group.layers == tuple(range(frame.geometry.layers)):
            rows[tile.tokens] = restored
        else:
            rows[np.ix_(tile.tokens, columns(frame.geometry, tile.group.layers))] = restored
    escapes.require_exhausted()
    if parameters.sink:
        held = sink_columns(frame)
        rows[0, held] = profile.bos[held]
    if parameters.exact:
        rows[encoded.sections["exact"]] = encoded.sections["exact_rows"]
    return unpack_rows(rows, geometry=frame.geometry, positions=frame.positions)


@dataclass(frozen=True, slots=True)
class _Tile:
    """Some tokens in one group's basis, and the blocks that their coefficients are coded in."""

    group: Group
    tokens: Array
    steps: Array
    blocks: tuple[tuple[Array, classes.Block], ...]


def _parameters(encoded: Encoded) -> Parameters:
    try:
        return msgspec.convert(encoded.parameters, Parameters)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the transform code's parameters are malformed: {error}", field="parameters") from error


def _stored(encoded: Encoded, parameters: Parameters, frame: SnapshotFrame) -> Array:
    """Return the mask `[tokens]` of uncoded tokens: the BOS entry and those that are stored exactly."""
    stored = np.zeros(frame.tokens, bool)
    stored[0] = parameters.sink
    exact, rows = encoded.sections.get("exact"), encoded.sections.get("exact_rows")
    known = {"exponents", "code", "escapes"} | ({"exact", "exact_rows"} if parameters.exact else set())
    if strangers := sorted(set(encoded.sections) - known):
        raise InvalidInput(f"a transform code has no section {strangers[0]!r} here", field=strangers[0])
    if not parameters.exact:
        return stored
    if exact is None or exact.dtype != np.int32 or exact.shape != (parameters.exact,):
        raise InvalidInput(f"the section 'exact' must name {parameters.exact} tokens", field="exact")
    if exact[0] < 0 or exact[-1] >= frame.tokens or (exact[1:] <= exact[:-1]).any():
        raise InvalidInput(f"the section 'exact' must name ascending tokens below {frame.tokens}", field="exact")
    shape = (parameters.exact, frame.geometry.width)
    if rows is None or rows.shape != shape or rows.dtype not in (np.float16, np.float32):
        raise InvalidInput(
            f"the section 'exact_rows' must hold a row for each exact token: {shape}, float16 or float32",
            field="exact_rows",
        )
    stored[exact] = True
    return stored


def _exponents(encoded: Encoded, frame: SnapshotFrame) -> Array:
    raw = encoded.sections.get("exponents")
    if raw is None or raw.dtype != np.uint8 or raw.shape != (frame.tokens,):
        raise InvalidInput(
            f"the section 'exponents' must hold a byte for each of {frame.tokens} tokens", field="exponents"
        )
    exponents = raw.astype(np.int64) + classes.LEAST_EXPONENT
    if exponents.max() > classes.MOST_EXPONENT:
        raise InvalidInput(f"the section 'exponents' goes past {classes.MOST_EXPONENT}", field="exponents")
    return exponents


def _plan(frame: SnapshotFrame, profile: OpenedProfile, stored: Array, steps: Array) -> Iterator[_Tile]:
    """Yield the tiles in the order in which they were coded."""
    for segment in segments(frame):
        tokens = np.arange(segment.first, segment.last)
        coded = tokens[~stored[tokens]]
        for group in profile.groups_for(segment.layers):
            for tile in tiles(len(coded)):
                part = coded[tile]
                yield _Tile(group, part, steps[part], tuple(blocks(group, steps[part])))


def _decoded_runs(encoded: Encoded, profile: OpenedProfile, plan: list[_Tile]) -> list[Array]:
    runs: list[tuple[int, Array]] = []
    for tile in plan:
        for rows, block in tile.blocks:
            count = len(rows) * (block.last - block.first)
            runs.append((count, frozen_table(block, profile)[1]))
            if block.shift:
                runs.append((count, low_bits_table(block)))
    code = encoded.sections.get("code")
    if code is None or code.dtype != np.int32 or code.ndim != 1:
        raise InvalidInput("the transform code lacks its section 'code' of int32 words", field="code")
    return entropy.decode_runs(code, runs)


def _symbols(tile: _Tile, decoded: Iterator[Array], profile: OpenedProfile, escapes: "_Escapes") -> Array:
    """Return a tile's symbols `[tokens, rank]`, int32."""
    symbols = np.zeros((len(tile.tokens), tile.group.rank), np.int32)
    for rows, block in tile.blocks:
        limit, _ = frozen_table(block, profile)
        high = next(decoded).astype(np.int32) - limit
        wild = high > limit
        if wild.any():
            high[wild] = escapes.take(int(wild.sum()))
        whole = (high << block.shift) | next(decoded).astype(np.int32) if block.shift else high
        symbols[rows, block.first : block.last] = whole.reshape(len(rows), -1)
    return symbols


def _restored(symbols: Array, tile: _Tile, profile: OpenedProfile) -> Array:
    """Return a tile's decoded rows `[tokens, width]`, in the group's layers.

    Few tokens are coded so finely that they have coefficients in the last columns: only these tokens are multiplied
    with those.
    """
    group, coded = tile.group, np.zeros(len(symbols), np.int64)
    for rows, block in tile.blocks:
        coded[rows] = block.last  # the last block of a row comes last
    common = _rounded(float(np.quantile(coded, COMMON_SHARE)), group.rank)
    restored = _product(symbols, tile.steps, group, profile, first=0, last=common)
    fine = np.flatnonzero(coded > common)
    if len(fine):
        last = _rounded(float(coded.max()), group.rank)
        restored[fine] += _product(symbols[fine], tile.steps[fine], group, profile, first=common, last=last)
    restored /= group.weight
    restored += group.mean
    return restored


def _rounded(columns: float, rank: int) -> int:
    return min(rank, max(1, math.ceil(columns / COLUMNS)) * COLUMNS)


def _product(symbols: Array, steps: Array, group: Group, profile: OpenedProfile, *, first: int, last: int) -> Array:
    """Return what the columns `first` to `last` contribute to the weighted rows `[tokens, width]`."""
    part = slice(first, last)
    levels = group.levels[part].astype(np.int32)

    def dequantise(tile: Array, token_steps: Array) -> jax.Array:
        coefficients: jax.Array = transform.dequantise(tile, token_steps, levels, profile.shrink)
        return coefficients

    return product(in_tiles(dequantise, symbols[:, part], steps), basis_of(group)[:, part].T)


class _Escapes:
    """The values that have no symbol of their own, in the order of their occurrence."""

    def __init__(self, values: Array | None) -> None:
        self.values = np.zeros(0, np.int32) if values is None else values
        if self.values.dtype != np.int32 or self.values.ndim != 1:
            raise InvalidInput("the section 'escapes' must be a list of int32", field="escapes")
        self.used = 0

    def take(self, count: int) -> Array:
        """Return the next values. Raises InvalidInput where there are not as many."""
        if self.used + count > len(self.values):
            raise InvalidInput("the section 'escapes' is too short for its code", field="escapes")
        self.used += count
        return self.values[self.used - count : self.used]

    def require_exhausted(self) -> None:
        """Raise InvalidInput where values are left over."""
        if self.used != len(self.values):
            raise InvalidInput("the section 'escapes' is too long for its code", field="escapes")
