"""What can go wrong when events are appended or read."""

from latentmas.protocol.errors import Conflict, InvalidInput, LatentMASError


class VersionConflict(Conflict):
    """The stream is not at the version the writer expected (412 over HTTP)."""

    code = "VERSION_CONFLICT"
    status = 412
    title = "The stream has moved on"
    resolution = "Read it again, decide again, and send the new version."


class DuplicateEvent(Conflict):
    """An event with this id is in the log already."""

    code = "DUPLICATE_EVENT"
    title = "The event is recorded already"


class EventTooLarge(InvalidInput):
    code = "EVENT_TOO_LARGE"
    title = "The event is too large"
    resolution = "Store the large part as a file and let the event name its digest."


class LogBusy(LatentMASError):
    """Other transactions kept the database locked for longer than a writer waits; nothing was recorded."""

    code = "LOG_BUSY"
    status = 503
    title = "The event log is busy"
    resolution = "Try again in a moment."


class LogCorrupted(LatentMASError):
    """The stored log contradicts itself; no request caused this."""

    code = "LOG_CORRUPTED"
    status = 500
    title = "The event log is damaged"
    resolution = "Run verify_log and restore from a backup."
