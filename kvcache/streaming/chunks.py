"""Chunks of one cache: cut them, join them, and check that they are consecutive."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array

SHARED = ("model", "weights", "geometry", "context")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive tokens of a cache, at their positions in the whole cache, with the queries given for them."""

    snapshot: KVSnapshot
    queries: Array | None = None  # [layers, n, query_heads, head_dim]
    query_positions: Array | None = None  # [n]; those of the chunk's last n tokens by default


def check_follows(frame: SnapshotFrame, *, first: SnapshotFrame | None, position: int, number: int) -> None:
    """Raise InvalidInput unless a chunk begins at `position`, has no gap, and is of the same cache as `first`."""
    start = int(frame.positions[0])
    if start != position:
        what = "is missing before it" if start > position else "was sent already, or comes out of order"
        raise InvalidInput(
            f"chunk {number} begins at position {start}, but the stream goes on at {position}: a chunk {what}",
            field="positions",
        )
    if frame.next_position != start + frame.tokens or frame.positions[-1] != frame.next_position - 1:
        raise InvalidInput(
            f"chunk {number} lacks tokens: its {frame.tokens} tokens must have the positions {start} to "
            f"{start + frame.tokens - 1}, and next_position must follow them",
            field="positions",
        )
    if any(frame.starts):
        raise InvalidInput(f"chunk {number} lacks tokens in some layers; starts must be 0 in a stream", field="starts")
    for name in SHARED if first is not None else ():
        given, allowed = getattr(frame, name), getattr(first, name)
        if given != allowed:
            raise InvalidInput(f"chunk {number} has the {name} {given}; the stream's is {allowed}", field=name)


def part(snapshot: KVSnapshot, start: int, stop: int) -> KVSnapshot:
    """Return the tokens [start, stop) of a gapless piece as a piece of its own."""
    cut = snapshot.select(np.arange(start, stop))
    return KVSnapshot(replace(cut.frame, next_position=int(cut.frame.positions[-1]) + 1), cut.keys, cut.values)


def join(pieces: Sequence[KVSnapshot]) -> KVSnapshot:
    """Return consecutive pieces as one snapshot; in each, every layer must hold all tokens."""
    if len(pieces) == 1:
        return pieces[0]
    frames = [piece.frame for piece in pieces]
    frame = replace(
        frames[0],
        positions=np.concatenate([each.positions for each in frames]),
        next_position=frames[-1].next_position,
        token_ids=_joined([each.token_ids for each in frames]),
        offsets=_joined([each.offsets for each in frames]),
    )
    keys = np.concatenate([piece.keys for piece in pieces], 1)
    return KVSnapshot(frame, keys, np.concatenate([piece.values for piece in pieces], 1))


def _joined(arrays: Sequence[Array | None]) -> Array | None:
    known = [array for array in arrays if array is not None]
    return np.concatenate(known) if len(known) == len(arrays) else None
