"""Run a command against one stream: load it, decide, append, project, all in one transaction."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import OperationalError, connection, transaction

from latentmas.events import store
from latentmas.events.errors import VersionConflict
from latentmas.events.types import Metadata, Recorded

S = TypeVar("S")

ATTEMPTS = 5
BACKOFF_SECONDS = 0.02
RETRYABLE_SQLSTATES = {"40001", "40P01"}  # serialization failure, deadlock


@dataclass(frozen=True, slots=True)
class Aggregate(Generic[S]):
    """A kind of stream: `prefix/identifier`, the state of an empty one, and how one event changes it."""

    prefix: str
    empty: S
    evolve: Callable[[S, Recorded], S]

    def stream(self, identifier: str) -> str:
        return f"{self.prefix}/{identifier}"


def load(aggregate: Aggregate[S], identifier: str) -> tuple[S, int]:
    """Return the state and the version of a stream."""
    state, version = aggregate.empty, 0
    for recorded in store.read_stream(aggregate.stream(identifier)):
        state, version = aggregate.evolve(state, recorded), recorded.version
    return state, version


def execute(
    aggregate: Aggregate[S],
    identifier: str,
    decide: Callable[[S], Sequence[object]],
    *,
    metadata: Metadata,
    expected: int | None = None,
) -> list[Recorded]:
    """Append what the pure function `decide` makes of the stream's state; nothing when it returns no events.

    `expected` is the version the caller has seen; without one, a concurrent append leads to a new decision.
    Raises VersionConflict and whatever `decide` raises; then nothing was recorded.
    """
    stream = aggregate.stream(identifier)

    def attempt() -> list[Recorded]:
        state, version = load(aggregate, identifier)
        if expected is not None and expected != version:
            raise store.version_conflict(stream, expected, version)
        return store.append(store.New(stream, decide(state), version), metadata=metadata)

    return _retry(attempt, conflicts=expected is None)


def _retry(attempt: Callable[[], list[Recorded]], *, conflicts: bool) -> list[Recorded]:
    for number in range(1, ATTEMPTS + 1):
        # Inside a caller's transaction a retry would not see anything new: the caller must retry the whole.
        last = number == ATTEMPTS or connection.in_atomic_block
        try:
            with transaction.atomic():
                return attempt()
        except VersionConflict:
            if last or not conflicts:
                raise
        except OperationalError as error:
            if last or getattr(error.__cause__, "sqlstate", None) not in RETRYABLE_SQLSTATES:
                raise
        time.sleep(BACKOFF_SECONDS * number)
    raise AssertionError("unreachable")
