"""Append to and read from the log. One append is one transaction: all of its events or none.

The head row is taken last and held until the commit, so positions have no gaps and become visible in order: a follower
that has read position n never misses one below it.
"""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
from django.db import IntegrityError, connection, transaction
from django.db.models import Max
from django.utils import timezone

from latentmas.events import projections
from latentmas.events.errors import DuplicateEvent, EventTooLarge, LogCorrupted, VersionConflict
from latentmas.events.models import Event
from latentmas.events.types import Envelope, Metadata, Payload, Recorded, decode, encode, event_type_of
from latentmas.protocol.canonical import canonical

MAX_BODY_BYTES = 32 * 1024
SALT_BYTES = 16
LEAF_PREFIX = b"\x00"  # RFC 6962: leaves and inner nodes hash in different domains
PAGE = 500

# UPDATE ... RETURNING, not a sequence: a sequence hands out numbers in an order that commits do not follow.
TAKE_HEAD = "UPDATE events_loghead SET position = position + %s WHERE id = 1 RETURNING position"


@dataclass(frozen=True, slots=True)
class New:
    """Events for one stream. `expected` is the version the stream must have: a number, 0 for none, None for any."""

    stream: str
    events: Sequence[object]
    expected: int | None = None
    event_ids: Sequence[UUID] | None = None


def append(*batches: New, metadata: Metadata) -> list[Recorded]:
    """Record the events, project them, and return them in log order.

    Raises VersionConflict, DuplicateEvent, EventTooLarge or InvalidInput; then nothing was recorded.
    """
    batches = tuple(batch for batch in batches if batch.events)
    if not batches:
        return []
    with transaction.atomic():
        prepared = [row for batch in batches for row in _prepare(batch, metadata)]
        projections.project([envelope for envelope, _ in prepared])
        first = _take_head(len(prepared)) - len(prepared) + 1
        rows = [_row(first + index, envelope, body) for index, (envelope, body) in enumerate(prepared)]
        try:
            with transaction.atomic():
                Event.objects.bulk_create(rows)
        except IntegrityError as error:
            raise _conflict(error, batches) from error
    return [_recorded(row) for row in rows]


def read_stream(stream: str, *, after: int = 0) -> list[Recorded]:
    """Return a stream's events from version `after` + 1 on, oldest first."""
    return [_recorded(row) for row in Event.objects.filter(stream=stream, version__gt=after).order_by("version")]


def stream_version(stream: str) -> int:
    """Return the version of a stream, 0 when it has no event."""
    return Event.objects.filter(stream=stream).aggregate(last=Max("version"))["last"] or 0


def read_all(*, after: int = 0, limit: int = PAGE) -> list[Recorded]:
    """Return at most `limit` events of the whole log with positions above `after`, oldest first."""
    return [_recorded(row) for row in Event.objects.filter(position__gt=after).order_by("position")[:limit]]


def read_all_backwards(*, before: int | None = None, limit: int = PAGE) -> list[Recorded]:
    """Return at most `limit` events of the whole log with positions below `before`, newest first."""
    rows = Event.objects.order_by("-position")
    if before is not None:
        rows = rows.filter(position__lt=before)
    return [_recorded(row) for row in rows[:limit]]


def batches(*, after: int = 0, size: int = PAGE) -> Iterator[list[Recorded]]:
    """Yield the whole log after a position in pages."""
    while page := read_all(after=after, limit=size):
        yield page
        after = page[-1].position


def leaf_hash(position: int, type_: str, stream: str, salt: bytes, body: bytes) -> bytes:
    """Return the Merkle leaf of an event; it can be published without its body (RFC 6962 section 2.1)."""
    leaf = {
        "position": position,
        "type": type_,
        "stream": hashlib.sha256(stream.encode()).hexdigest(),
        "body": hashlib.sha256(salt + body).hexdigest(),
    }
    return hashlib.sha256(LEAF_PREFIX + canonical(leaf)).digest()


def _prepare(batch: New, metadata: Metadata) -> Iterator[tuple[Envelope, bytes]]:
    current = stream_version(batch.stream)
    if batch.expected is not None and batch.expected != current:
        raise version_conflict(batch.stream, batch.expected, current)
    ids = batch.event_ids or [uuid4() for _ in batch.events]
    for index, (data, event_id) in enumerate(zip(batch.events, ids, strict=True), start=1):
        kind = event_type_of(data)
        envelope = Envelope(
            event_id=event_id,
            stream=batch.stream,
            version=current + index,
            type=kind.name,
            schema=kind.schema,
            data=data,
            metadata=metadata,
            recorded_at=timezone.now(),
        )
        body = canonical(_document(envelope))
        if len(body) > MAX_BODY_BYTES:
            raise EventTooLarge(f"a {kind.name!r} event has {len(body)} bytes; the limit is {MAX_BODY_BYTES}")
        yield envelope, body


def _document(envelope: Envelope) -> Payload:
    return {
        "event_id": str(envelope.event_id),
        "stream": envelope.stream,
        "version": envelope.version,
        "type": envelope.type,
        "schema": envelope.schema,
        "payload": encode(envelope.data),
        "metadata": asdict(envelope.metadata),
        "recorded_at": envelope.recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
    }


def _row(position: int, envelope: Envelope, body: bytes) -> Event:
    document: Payload = msgspec.json.decode(body)
    salt = secrets.token_bytes(SALT_BYTES)
    return Event(
        position=position,
        **document | {"event_id": envelope.event_id, "recorded_at": envelope.recorded_at},
        body=body,
        salt=salt,
        leaf_hash=leaf_hash(position, envelope.type, envelope.stream, salt, body),
    )


def _recorded(row: Event) -> Recorded:
    document: Payload = msgspec.json.decode(bytes(row.body))
    return Recorded(
        position=row.position,
        event_id=UUID(document["event_id"]),
        stream=document["stream"],
        version=document["version"],
        type=document["type"],
        schema=document["schema"],
        data=decode(document["type"], document["schema"], document["payload"]),
        metadata=Metadata(**document["metadata"]),
        recorded_at=datetime.fromisoformat(document["recorded_at"]),
    )


def _take_head(count: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(TAKE_HEAD, [count])
        row = cursor.fetchone()
    if row is None:
        raise LogCorrupted("the head row of the log is missing")
    return int(row[0])


def _conflict(error: IntegrityError, batches: Sequence[New]) -> Exception:
    """Turn a unique violation or a trigger's refusal into the conflict it stands for."""
    text = str(error)
    if "event_id" in text:
        return DuplicateEvent("an event with this id is recorded already")
    if "stream" in text:
        streams = ", ".join(sorted({batch.stream for batch in batches}))
        return VersionConflict(f"somebody else appended to {streams} at the same moment")
    return error


def version_conflict(stream: str, expected: int, current: int) -> VersionConflict:
    return VersionConflict(
        f"the stream {stream!r} is at version {current}, not {expected}", expected=expected, current=current
    )
