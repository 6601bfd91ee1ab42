"""Check the stored log against itself, sharing no code with the writer.

Canonical form, leaf hash and body layout are implemented here a second time on purpose, with another JSON library than
the writer's: a mistake in shared code would not be found. Rows are read with plain SQL, so that a damaged column is
reported as a fault and raises nothing.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec
from django.db import connection

from latentmas.events.types import event_types

PAGE = 1000
FIELDS = ("event_id", "stream", "version", "type", "schema", "payload", "metadata", "recorded_at")
NAMES = frozenset(FIELDS)
MAX_BODY_BYTES = 32 * 1024
EVENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

# recorded_at as text: the drivers would raise for a damaged one.
ROWS = (
    "SELECT position, event_id, stream, version, type, schema, payload, metadata, CAST(recorded_at AS TEXT), "
    "body, salt, leaf_hash FROM events_event WHERE position > %s AND position <= %s ORDER BY position LIMIT %s"
)
NEXT = "SELECT MIN(position) FROM events_event WHERE position > %s"
ENDS = "SELECT (SELECT position FROM events_loghead WHERE id = 1), (SELECT MAX(position) FROM events_event)"
MISNUMBERED = (
    "SELECT position, stream, version, expected FROM (SELECT position, stream, version, "
    "ROW_NUMBER() OVER (PARTITION BY stream ORDER BY position) AS expected FROM events_event WHERE position <= %s) "
    "AS numbered WHERE version <> expected ORDER BY position"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and at which position; None where it concerns no single event."""

    position: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Row:
    position: int
    columns: tuple[Any, ...]  # in the order of FIELDS
    body: bytes
    salt: bytes
    leaf_hash: bytes


def verify() -> Iterator[Fault]:
    """Yield every fault of the log as it stands when the check begins."""
    head, last = _ends()
    yield from _head_faults(head, last)
    if last is None:
        return
    yield from _misnumbered(last)
    expected = 1
    for row in _rows(until=last):
        if row.position != expected:
            yield _gap(expected, row.position)
        expected = row.position + 1
        for what in _row_faults(row):
            yield Fault(row.position, what)


def verify_position(position: int) -> Iterator[Fault]:
    """Yield the faults of a single event."""
    rows = list(_rows(after=position - 1, until=position))
    if not rows:
        yield Fault(position, f"there is no event at position {position}")
    for row in rows:
        for what in _row_faults(row):
            yield Fault(position, what)


def verify_head() -> Iterator[Fault]:
    """Yield the faults at the end of the log only, which takes no time however long it is."""
    yield from _head_faults(*_ends())


def _head_faults(head: int | None, last: int | None) -> Iterator[Fault]:
    if head is None:
        yield Fault(None, "the head row is missing")
    elif head != (last or 0):
        yield Fault(None, f"the head row says {head}, but the last event is at {last or 0}")


def _misnumbered(last: int) -> Iterator[Fault]:
    with connection.cursor() as cursor:
        cursor.execute(MISNUMBERED, [last])
        for position, stream, version, expected in cursor.fetchall():
            yield Fault(position, f"the stream {stream!r} has version {version} where {expected} is due")


def _gap(expected: int, found: int) -> Fault:
    if found < expected:
        return Fault(found, "positions start at 1")
    return Fault(expected, f"no event between {expected - 1} and {found}: {found - expected} missing")


def _row_faults(row: Row) -> Iterator[str]:
    if len(row.body) > MAX_BODY_BYTES:
        yield f"the body has {len(row.body)} bytes"
    if _leaf_hash(row) != row.leaf_hash:
        yield "the leaf hash does not fit the body, type, stream and position"
    try:
        document = _parse(row.body)
    except ValueError as error:
        yield f"the body is not canonical JSON: {error}"
        return
    if document.keys() != NAMES:
        yield f"the body has the fields {', '.join(sorted(document))}"
        return
    for name, column in zip(FIELDS, row.columns, strict=True):
        if not AGREES[name](column, document[name]):
            yield f"the column {name} does not repeat the body"
    yield from _type_faults(document["type"], document["schema"])


def _type_faults(name: object, schema: object) -> Iterator[str]:
    kind = event_types().get(name) if isinstance(name, str) else None
    if kind is None:
        yield f"the event type {name!r} is unknown"
    elif not isinstance(schema, int) or not 1 <= schema <= kind.schema:
        yield f"the event type {name!r} has the schema {schema!r}; this code knows 1 to {kind.schema}"


def _same(column: object, value: object) -> bool:
    return type(column) is type(value) and column == value


def _same_document(column: object, value: object) -> bool:
    try:
        return bool(msgspec.json.decode(str(column)) == value)
    except (ValueError, RecursionError):
        return False


def _same_id(column: object, value: object) -> bool:
    if not isinstance(value, str) or EVENT_ID.fullmatch(value) is None:
        return False
    return str(column).replace("-", "") == value.replace("-", "")


def _same_moment(column: object, value: Any) -> bool:
    try:
        moment = datetime.fromisoformat(str(column))  # without a zone on SQLite, where Django stores UTC
        return moment.replace(tzinfo=moment.tzinfo or UTC) == datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return False


AGREES: dict[str, Callable[[object, object], bool]] = dict.fromkeys(FIELDS, _same) | {
    "event_id": _same_id,
    "payload": _same_document,
    "metadata": _same_document,
    "recorded_at": _same_moment,
}


def _parse(body: bytes) -> dict[str, Any]:
    """Return the object that the bytes encode canonically. Raises ValueError."""
    try:
        value = DECODER.decode(body)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    # Duplicate keys, white space, unsorted keys and needless escapes all fail to come back as they were.
    if ENCODER.encode(value) != body:
        raise ValueError("it is written in another way than the canonical one")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is a floating-point number")


DECODER = msgspec.json.Decoder(float_hook=_refuse)
ENCODER = msgspec.json.Encoder(order="sorted")


def _leaf_hash(row: Row) -> bytes:
    """RFC 6962 leaf over canonical {body, position, stream, type}, keys in that order."""
    _, stream, _, type_, *_ = row.columns
    body_digest = hashlib.sha256(row.salt + row.body).hexdigest()
    stream_digest = hashlib.sha256(str(stream).encode()).hexdigest()
    type_text = ENCODER.encode(str(type_)).decode()
    leaf = f'{{"body":"{body_digest}","position":{row.position},"stream":"{stream_digest}","type":{type_text}}}'
    return hashlib.sha256(b"\x00" + leaf.encode()).digest()


def _ends() -> tuple[int | None, int | None]:
    """Return the head row's and the last event's position, read together because writers may be active."""
    with connection.cursor() as cursor:
        cursor.execute(ENDS)
        head, last = cursor.fetchone()
    return head, last


def _rows(*, until: int, after: int = -(1 << 63)) -> Iterator[Row]:
    for position, *columns, body, salt, leaf in read_by_position(ROWS, after=after, until=until, page=PAGE):
        yield Row(position, tuple(columns), as_bytes(body), as_bytes(salt), as_bytes(leaf))


def read_by_position(sql: str, *, after: int, until: int, page: int) -> Iterator[Any]:
    """Yield the rows after one position up to another, so many positions a query; `sql` takes the two and a limit.

    Both, because PostgreSQL plans by statistics, which are old where the table has grown. With the limit alone it may
    sort all that is left of the table for every page; with the range alone it may start two workers for each.
    """
    with connection.cursor() as cursor:
        while after < until:
            end = min(after + page, until)
            cursor.execute(sql, [after, end, page])
            rows = cursor.fetchall()
            yield from rows
            if not rows:  # a gap, which may be of any length
                cursor.execute(NEXT, [after])
                (following,) = cursor.fetchone()
                end = until if following is None else following - 1
            after = end


def as_bytes(value: Any) -> bytes:
    """Return a column's bytes; SQLite may hold a value of any type in any column."""
    return str(value).encode() if isinstance(value, str | int | float) else bytes(value)
