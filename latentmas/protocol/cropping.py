"""A memory as it was at an earlier point of its context."""

from dataclasses import replace

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot, SnapshotFrame, needed_starts


def crop(snapshot: KVSnapshot, end: int) -> KVSnapshot:
    """Return the memory of the first `end` tokens of the context: a model goes on from there.

    Raises InvalidInput where it holds none of them, or where a sliding window has dropped what would be needed.
    """
    check_crop(snapshot.frame, end)
    if end == snapshot.frame.next_position:
        return snapshot
    kept = (snapshot.frame.positions < end).nonzero()[0]
    part = snapshot.select(kept)
    # The context's digest is that of the whole text.
    return KVSnapshot(replace(part.frame, next_position=end, context=None), part.keys, part.values)


def check_crop(frame: SnapshotFrame, end: int) -> None:
    """Raise InvalidInput where the memory cannot be cropped to `end` tokens of its context."""
    if not 0 < end <= frame.next_position:
        raise InvalidInput(f"{end} is no place in a context of {frame.next_position} tokens", field="end")
    if frame.positions[0] >= end:
        raise InvalidInput(f"the memory holds none of the first {end} tokens", field="end")
    if end == frame.next_position:
        return
    whole = replace(frame, starts=(0,) * frame.geometry.layers)
    seen = needed_starts(whole, reader=end)
    lacking = [layer for layer, start in enumerate(frame.starts) if start > seen[layer]]
    if lacking:
        raise InvalidInput(
            f"layer {lacking[0]} has a sliding window and no longer holds what the token at {end} would see",
            resolution="Keep the whole cache while the model reads, as a calibration capture does, and store that.",
            field="end",
        )
