"""Run a command against one stream, or several: load, decide, project, append, all in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latentmas.events import store
from latentmas.events.statements import version_conflict
from latentmas.events.transactions import transact
from latentmas.events.types import Metadata, Recorded

S = TypeVar("S")


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
    Raises VersionConflict, LogBusy and whatever `decide` and `append` raise; then nothing was recorded.
    """
    stream = aggregate.stream(identifier)

    def work() -> list[Recorded]:
        store.lock_streams([stream])
        state, version = load(aggregate, identifier)
        if expected is not None and expected != version:
            raise version_conflict(stream, expected=expected, current=version)
        events = decide(state)
        if not events:
            return []
        return store.record([store.New(stream, events)], versions={stream: version}, metadata=metadata)

    return transact(work, conflicts=expected is None)


def execute_together(
    streams: Sequence[tuple[Aggregate[Any], str]],
    decide: Callable[[Sequence[Any]], Sequence[Sequence[object]]],
    *,
    metadata: Metadata,
) -> list[Recorded]:
    """Append to several streams what `decide` makes of their states, in one transaction: all of it or nothing.

    `decide` gets the states in the order of `streams`, and returns the events of each in the same order. The streams
    are locked before it runs, so it may lock rows of its own. Raises LogBusy and what `decide` and `append` raise.
    """
    names = [aggregate.stream(identifier) for aggregate, identifier in streams]

    def work() -> list[Recorded]:
        store.lock_streams(names)
        loaded = [load(aggregate, identifier) for aggregate, identifier in streams]
        decided = decide([state for state, _ in loaded])
        batches = [store.New(name, events) for name, events in zip(names, decided, strict=True) if events]
        versions = dict(zip(names, (version for _, version in loaded), strict=True))
        return store.record(batches, versions=versions, metadata=metadata) if batches else []

    return transact(work)
