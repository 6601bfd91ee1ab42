"""Append to and read from the log. One append is one transaction: all of its events or none.

The head row is taken last and held until the commit, so positions have no gaps and become visible in order: a follower
that has read position n never misses one below it.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db import IntegrityError
from django.db.models import Max, QuerySet
from django.utils import timezone

from latentmas.events import projections, statements
from latentmas.events.models import Event
from latentmas.events.records import Prepared, columns, prepare, recorded, written
from latentmas.events.records import leaf_hash as leaf_hash
from latentmas.events.transactions import transact
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import InvalidInput

PAGE = 500
STREAM = re.compile("[^\x00\ud800-\udfff]{1,200}", re.DOTALL)  # neither NUL nor half a surrogate pair


@dataclass(frozen=True, slots=True)
class New:
    """Events for one stream. `expected` is the version the stream must have: a number, 0 for none, None for any."""

    stream: str
    events: Sequence[object]
    expected: int | None = None
    event_ids: Sequence[UUID] | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the Merkle tree needs of an event."""

    position: int
    hash: bytes


def append(*batches: New, metadata: Metadata) -> list[Recorded]:
    """Record the events, project them, and return them in log order.

    Raises VersionConflict, DuplicateEvent, EventTooLarge, InvalidInput or LogBusy; then nothing was recorded.
    """
    batches = tuple(batch for batch in batches if batch.events)
    if not batches:
        return []
    streams = sorted({batch.stream for batch in batches})

    def work() -> list[Recorded]:
        lock_streams(streams)
        return record(batches, versions=stream_versions(streams), metadata=metadata)

    return transact(work, conflicts=all(batch.expected is None for batch in batches))


def lock_streams(streams: Sequence[str]) -> None:
    """Hold the streams against other writers until the transaction ends. Raises InvalidInput for an impossible name."""
    for stream in streams:
        if not STREAM.fullmatch(stream):
            raise InvalidInput(f"{stream!r} is no name for a stream: 1 to 200 characters of valid text without NUL")
    statements.lock_streams(streams)


def record(batches: Sequence[New], *, versions: Mapping[str, int], metadata: Metadata) -> list[Recorded]:
    """Do the work of `append` in the caller's transaction, which has locked the streams and read their `versions`."""
    prepared = list(_prepare(batches, versions=dict(versions), metadata=metadata))
    projections.project([each.envelope for each in prepared])
    first = statements.take_head(len(prepared)) - len(prepared) + 1
    try:
        statements.insert([columns(each, position) for position, each in enumerate(prepared, start=first)])
    except IntegrityError as error:
        raise statements.conflict(error, streams=[batch.stream for batch in batches]) from error
    return [written(each, position) for position, each in enumerate(prepared, start=first)]


def read_stream(stream: str, *, after: int = 0) -> list[Recorded]:
    """Return a stream's events from version `after` + 1 on, oldest first. Raises LogCorrupted."""
    return [recorded(position, body) for position, body in statements.select_stream(stream, after=after)]


def read_streams(streams: Sequence[str]) -> list[Recorded]:
    """Return the events of several streams, in the log's order. Raises LogCorrupted."""
    return _read(Event.objects.filter(stream__in=streams).order_by("position"))


def stream_version(stream: str) -> int:
    """Return the version of a stream, 0 when it has no event."""
    return stream_versions([stream])[stream]


def stream_versions(streams: Sequence[str]) -> dict[str, int]:
    """Return the version of each stream, 0 for one without an event."""
    rows = Event.objects.filter(stream__in=streams).order_by().values_list("stream").annotate(last=Max("version"))
    return dict.fromkeys(streams, 0) | dict(rows)


def read_all(*, after: int = 0, limit: int = PAGE, types: Collection[str] | None = None) -> list[Recorded]:
    """Return at most `limit` events of the whole log, or only of these types, with positions above `after`."""
    rows = Event.objects.filter(position__gt=after)
    if types is not None:
        rows = rows.filter(type__in=types)
    return _read(rows.order_by("position")[:limit])


def read_leaves(*, after: int = 0, limit: int = PAGE) -> list[Leaf]:
    """Return at most `limit` leaf hashes of the whole log with positions above `after`, oldest first."""
    rows = Event.objects.filter(position__gt=after).order_by("position").values_list("position", "leaf_hash")[:limit]
    return [Leaf(position, bytes(leaf)) for position, leaf in rows]


def read_all_backwards(*, before: int | None = None, limit: int = PAGE) -> list[Recorded]:
    """Return at most `limit` events of the whole log with positions below `before`, newest first."""
    rows = Event.objects.order_by("-position")
    if before is not None:
        rows = rows.filter(position__lt=before)
    return _read(rows[:limit])


def batches(*, after: int = 0, size: int = PAGE) -> Iterator[list[Recorded]]:
    """Yield the whole log after a position in pages."""
    while page := read_all(after=after, limit=size):
        yield page
        after = page[-1].position


def head_position() -> int:
    """Return the position of the newest event, 0 for an empty log. Raises LogCorrupted."""
    return statements.head_position()


def _prepare(batches: Sequence[New], *, versions: dict[str, int], metadata: Metadata) -> Iterator[Prepared]:
    now = timezone.now()
    for batch in batches:
        current = versions[batch.stream]
        if batch.expected is not None and batch.expected != current:
            raise statements.version_conflict(batch.stream, expected=batch.expected, current=current)
        ids = batch.event_ids or [uuid4() for _ in batch.events]
        for version, (data, event_id) in enumerate(zip(batch.events, ids, strict=True), start=current + 1):
            yield prepare(
                data,
                stream=batch.stream,
                version=version,
                event_id=event_id,
                metadata=metadata,
                recorded_at=now,
            )
        versions[batch.stream] = current + len(batch.events)


def _read(rows: QuerySet[Event]) -> list[Recorded]:
    return [recorded(position, bytes(body)) for position, body in rows.values_list("position", "body")]
