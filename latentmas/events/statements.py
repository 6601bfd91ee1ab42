"""The SQL statements that every command runs, and the store's errors for those that the database refuses.

Compiling ORM queries would take longer than running them. For a duplicate key SQLite reports a trigger's message, or
its own unique constraint where the triggers are lifted; PostgreSQL names the constraint.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.db import IntegrityError, connection
from django.db.models import Field

from latentmas.events.errors import DuplicateEvent, LogCorrupted, VersionConflict
from latentmas.events.models import Event
from latentmas.events.triggers import EVENT_ID_TAKEN, POSITION_TAKEN, VERSION_TAKEN

FIELDS = Event._meta.concrete_fields
INSERT = "INSERT INTO events_event ({}) VALUES ".format(", ".join(f'"{field.column}"' for field in FIELDS))  # noqa: S608
PLACEHOLDERS = f"({', '.join(['%s'] * len(FIELDS))})"
ROWS_PER_INSERT = 50  # SQLite may be built to take 999 parameters at most
SELECT_STREAM = "SELECT position, body FROM events_event WHERE stream = %s AND version > %s ORDER BY version"

SELECT_HEAD = "SELECT position FROM events_loghead WHERE id = 1"
# UPDATE ... RETURNING, not a sequence: a sequence hands out numbers in an order that commits do not follow.
TAKE_HEAD = "UPDATE events_loghead SET position = position + %s WHERE id = 1 RETURNING position"

# Writers of one stream queue up before they read it, so that the second decides on what the first has done instead of
# running into its rows. The seed keeps these locks apart from other users of advisory locks.
STREAMS = 7236833
LOCK_NAMES = "SELECT pg_advisory_xact_lock(hashtextextended(name, %s)) FROM unnest(%s::text[]) AS name"

POSTGRESQL_KEYS = {
    "events_event_event_id": EVENT_ID_TAKEN,
    "event_stream_version": VERSION_TAKEN,
    "events_event_pkey": POSITION_TAKEN,
}
SQLITE_KEYS = {
    EVENT_ID_TAKEN: EVENT_ID_TAKEN,
    VERSION_TAKEN: VERSION_TAKEN,
    POSITION_TAKEN: POSITION_TAKEN,
    "UNIQUE constraint failed: events_event.event_id": EVENT_ID_TAKEN,
    "UNIQUE constraint failed: events_event.stream, events_event.version": VERSION_TAKEN,
    "UNIQUE constraint failed: events_event.position": POSITION_TAKEN,
}


def insert(rows: Sequence[Sequence[object]]) -> None:
    """Insert events given as the values of all columns of `Event`. Raises IntegrityError."""
    with connection.cursor() as cursor:
        for start in range(0, len(rows), ROWS_PER_INSERT):
            chunk = rows[start : start + ROWS_PER_INSERT]
            values = [_adapted(field, value) for row in chunk for field, value in zip(FIELDS, row, strict=True)]
            cursor.execute(INSERT + ", ".join([PLACEHOLDERS] * len(chunk)), values)


def _adapted(field: "Field[Any, Any]", value: object) -> Any:
    return field.get_db_prep_save(value, connection)


def select_stream(stream: str, *, after: int) -> Iterator[tuple[int, bytes]]:
    """Yield position and body of a stream's events above a version, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(SELECT_STREAM, [stream, after])
        for position, body in cursor.fetchall():
            yield position, bytes(body)


def take_head(count: int) -> int:
    """Take the next `count` positions, hold the head row until the commit, and return the last. Raises LogCorrupted."""
    return _head(TAKE_HEAD, [count])


def head_position() -> int:
    """Return the position of the newest event, 0 for an empty log. Raises LogCorrupted."""
    return _head(SELECT_HEAD)


def _head(statement: str, parameters: Sequence[int] = ()) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    if row is None:
        raise LogCorrupted("the head row of the log is missing", resolution="Run migrate, then verify_log.")
    return int(row[0])


def lock_streams(streams: Sequence[str]) -> None:
    """Wait for the other writers of these streams, and exclude them until the commit."""
    lock_names(streams, seed=STREAMS)


def lock_names(names: Collection[str], *, seed: int) -> None:
    """Wait for whoever holds one of these names, and hold them until the commit. SQLite has one writer anyway.

    Names are locked in order; those of another `seed` are other locks.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(LOCK_NAMES, [seed, sorted(set(names))])


def conflict(error: IntegrityError, *, streams: Sequence[str]) -> Exception:
    """Return the error that a failed insertion of events into these streams means; `error` itself for anything else."""
    match _taken(error):
        case "event_id":
            return DuplicateEvent("an event with this id is recorded already")
        case "version":
            names = ", ".join(sorted(set(streams)))
            return VersionConflict(
                f"somebody else appended to {names} at the same moment", streams=sorted(set(streams))
            )
        case "position":
            return LogCorrupted("the head row is behind the log: the next position is taken already")
    return error


def version_conflict(stream: str, *, expected: int, current: int) -> VersionConflict:
    return VersionConflict(
        f"the stream {stream!r} is at version {current}, not {expected}",
        stream=stream,
        expected=expected,
        current=current,
    )


def _taken(error: IntegrityError) -> str | None:
    """Return which key of the event table was taken: `event_id`, `version` or `position`."""
    key = _postgresql_key(error) or SQLITE_KEYS.get(str(error))
    return {EVENT_ID_TAKEN: "event_id", VERSION_TAKEN: "version", POSITION_TAKEN: "position"}.get(key or "")


def _postgresql_key(error: IntegrityError) -> str | None:
    diagnostics = getattr(error.__cause__, "diag", None)
    name = getattr(diagnostics, "constraint_name", None) or ""
    # PostgreSQL and Django append `_key` or a hash to the names they make themselves.
    return next((key for prefix, key in POSTGRESQL_KEYS.items() if name.startswith(prefix)), None)
