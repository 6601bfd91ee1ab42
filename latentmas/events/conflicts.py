"""Turn what the database says about a taken key into the conflict it stands for.

SQLite speaks through a guard's message, or through its own unique constraint where the guards are lifted; PostgreSQL
names the constraint.
"""

from collections.abc import Sequence

from django.db import IntegrityError

from latentmas.events.errors import DuplicateEvent, LogCorrupted, VersionConflict
from latentmas.events.triggers import EVENT_ID_TAKEN, POSITION_TAKEN, VERSION_TAKEN

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
