"""Range coding of whole numbers against frozen tables of frequencies, exact on every machine (`constriction`).

A table lists how often each symbol 0, 1, 2 and so on occurs, as whole numbers: no floating-point model takes part.
Neighbouring symbols are coded together where their joint table stays small, which halves the time.
"""

import functools as ft
import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import constriction
import numpy as np

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

Model: TypeAlias = constriction.stream.model.Categorical
Decoder: TypeAlias = constriction.stream.queue.RangeDecoder
Table: TypeAlias = Array  # int64 [symbols], at least two symbols
MAX_JOINT = 4096  # symbols of a joint table
MAX_TOTAL = 1 << 31
CACHED_MODELS = 256  # of at most 64 KiB each
PIECE = 1 << 20  # joint symbols coded at once: memory stays bounded
SLACK_BITS = 64  # the coder's last words
WORD = np.dtype("<i4")


def encode_runs(runs: Sequence[tuple[Array, Table]]) -> Array:
    """Return the code of runs of symbols, each with its table, as int32 words `[words]`, at least one.

    Raises InvalidInput for a symbol outside its table. A symbol with the frequency 0 can be coded, at 24 bits.
    """
    coder = constriction.stream.queue.RangeEncoder()
    for symbols, table in runs:
        _require_symbols(symbols, table)
        size, model = _joint(table)
        for start in range(0, len(symbols), PIECE * size):
            coder.encode(_join(symbols[start : start + PIECE * size], len(table), size, int(table.argmax())), model)
    words = coder.get_compressed()
    return np.asarray(words if len(words) else np.zeros(1, np.uint32)).astype("<u4").view(WORD)


def decode_runs(words: Array, runs: Sequence[tuple[int, Table]]) -> list[Array]:
    """Return the symbols of runs of known lengths, uint8 where they fit. Raises InvalidInput for a damaged code.

    Runs that are too long for the number of words are refused before anything is allocated.
    """
    least = sum(count * _least_bits(table) for count, table in runs)
    if least > 32 * len(words) + SLACK_BITS:
        raise InvalidInput(f"{len(words)} words of code cannot hold {sum(count for count, _ in runs)} symbols")
    decoder = constriction.stream.queue.RangeDecoder(np.ascontiguousarray(words).view("<u4").astype(np.uint32))
    try:
        decoded = [_decode_run(decoder, count, table) for count, table in runs]
    except AssertionError as error:  # raised by constriction where no message has this code
        raise InvalidInput("the entropy code is damaged") from error
    if not decoder.maybe_exhausted():
        raise InvalidInput("the entropy code is damaged: it is longer than its symbols")
    return decoded


def encode_columns(symbols: Array, *, tables: Sequence[Table], ids: Array) -> Array:
    """Return the code of `symbols` `[rows, columns]`, column c with the table `tables[ids[c]]`; see `encode_runs`."""
    return encode_runs([(symbols[:, columns].reshape(-1), table) for columns, table in _by_table(tables, ids)])


def decode_columns(words: Array, *, rows: int, tables: Sequence[Table], ids: Array) -> Array:
    """Return what `encode_columns` was given, uint8, uint16 or int32 `[rows, columns]`; see `decode_runs`."""
    groups = list(_by_table(tables, ids))
    decoded = decode_runs(words, [(rows * len(columns), table) for columns, table in groups])
    symbols = np.empty((rows, len(ids)), np.result_type(*decoded) if decoded else np.uint8)
    for (columns, _), run in zip(groups, decoded, strict=True):
        symbols[:, columns] = run.reshape(rows, len(columns))
    return symbols


def _by_table(tables: Sequence[Table], ids: Array) -> Iterator[tuple[Array, Table]]:
    if ids.ndim != 1 or (len(ids) and not 0 <= ids.min() <= ids.max() < len(tables)):
        raise InvalidInput(f"ids must name, for each column, one of the {len(tables)} tables", field="ids")
    for number in np.unique(ids):
        yield np.flatnonzero(ids == number), tables[number]


def _require_symbols(symbols: Array, table: Table) -> None:
    if len(symbols) and not 0 <= symbols.min() <= symbols.max() < len(table):
        raise InvalidInput(f"the symbols {symbols.min()} to {symbols.max()} do not fit a table of {len(table)}")


def _require_table(table: Table) -> None:
    if table.ndim != 1 or table.dtype.kind not in "iu" or len(table) < 2:
        raise InvalidInput(
            f"a table of frequencies is {table.dtype} {table.shape}; it must be two or more whole numbers"
        )
    if table.min() < 0 or not 0 < int(table.sum(dtype=np.int64)) <= MAX_TOTAL or np.count_nonzero(table) < 2:
        raise InvalidInput(f"frequencies must be 0 or more, two of them above, and at most {MAX_TOTAL} in all")


def _least_bits(table: Table) -> float:
    """Bits that the most frequent symbol costs at least, with the coder's 24-bit rounding in its favour."""
    _require_table(table)
    return 0.999 * math.log2(int(table.sum(dtype=np.int64)) / int(table.max())) - 2.0**-22


def _joint(table: Table) -> tuple[int, Model]:
    """Return how many symbols are coded together, and the model of their joint table."""
    _require_table(table)
    return _joint_model(table.astype(np.int64).tobytes())


@ft.lru_cache(maxsize=CACHED_MODELS)
def _joint_model(table: bytes) -> tuple[int, Model]:
    single = np.frombuffer(table, np.int64).astype(np.float64)
    size = max(1, int(math.log(MAX_JOINT) / math.log(len(single)) + 1e-9))
    joint = single
    for _ in range(size - 1):
        joint = np.outer(joint, single).reshape(-1)
    return size, constriction.stream.model.Categorical(joint, perfect=False)


def _join(symbols: Array, base: int, size: int, filler: int) -> Array:
    """Return numbers whose `size` digits in `base` are neighbouring symbols; the last one is filled up."""
    filled = np.pad(symbols, (0, -len(symbols) % size), constant_values=filler).reshape(-1, size)
    joined = filled[:, 0].astype(np.int32)
    for digit in range(1, size):
        joined *= base
        joined += filled[:, digit]
    return joined


def _decode_run(decoder: Decoder, count: int, table: Table) -> Array:
    size, model = _joint(table)
    symbols = np.empty((-(-count // size), size), _dtype(len(table)))
    for start in range(0, len(symbols), PIECE):
        part = symbols[start : start + PIECE]
        joined = decoder.decode(model, len(part))
        for digit in range(size - 1, 0, -1):
            rest = joined // len(table)
            part[:, digit] = joined - rest * len(table)
            joined = rest
        part[:, 0] = joined
    return symbols.reshape(-1)[:count]


def _dtype(symbols: int) -> type[np.generic]:
    return np.uint8 if symbols <= 1 << 8 else np.uint16 if symbols <= 1 << 16 else np.int32
