"""Run a unit of work in one transaction, and repeat it where the database or a concurrent writer asks for that."""

import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection, transaction

from latentmas.events.errors import LogBusy, VersionConflict

T = TypeVar("T")

ATTEMPTS = 5
BACKOFF_SECONDS = 0.02
REPEATABLE_SQLSTATES = {"40001", "40P01"}  # serialization failure, deadlock
BUSY_SQLSTATES = REPEATABLE_SQLSTATES | {"55P03"}  # lock_timeout ran out


def transact(work: Callable[[], T], *, conflicts: bool = True) -> T:
    """Return the result of `work`, run in one transaction.

    It is repeated after a deadlock, a serialization failure and, with `conflicts`, a VersionConflict. Inside a caller's
    transaction it runs once, on a savepoint: only the outermost can be repeated. Raises LogBusy and what `work` raises.
    """
    if connection.in_atomic_block:
        with transaction.atomic():
            return work()
    for attempt in range(1, ATTEMPTS):
        try:
            with transaction.atomic():
                return work()
        except VersionConflict:
            if not conflicts:
                raise
        except OperationalError as error:
            if not _is_repeatable(error):
                raise _explained(error) from error
        time.sleep(BACKOFF_SECONDS * attempt)
    try:
        with transaction.atomic():
            return work()
    except OperationalError as error:
        raise _explained(error) from error


def _is_repeatable(error: OperationalError) -> bool:
    """Return whether to try again; not for SQLITE_BUSY, since BEGIN IMMEDIATE has then waited for all of `timeout`."""
    return _sqlstate(error) in REPEATABLE_SQLSTATES


def _explained(error: OperationalError) -> Exception:
    if _sqlstate(error) in BUSY_SQLSTATES or _is_sqlite_lock(error.__cause__):
        return LogBusy("other transactions have held the database's locks for too long")
    return error


def _sqlstate(error: OperationalError) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def _is_sqlite_lock(cause: BaseException | None) -> bool:
    # The low byte is the primary code; the others tell the kinds of SQLITE_BUSY apart.
    return isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
