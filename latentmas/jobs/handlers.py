"""Job handlers: one function for each kind of job, registered in the module `jobs` of the app that has it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

Json = dict[str, Any]
Progress = Callable[[int, int], None]  # done, total
Stage = Callable[[str], Progress]  # opens the progress of a named stage


class Queue(StrEnum):
    """Where a kind of job waits. A worker serves one queue or several (docs/operations.md)."""

    MEASURE = "measure"  # runs models for minutes: one at a time in a worker
    WORK = "work"  # some seconds
    LIGHT = "light"  # well below a second


@dataclass(frozen=True, slots=True)
class Ended:
    """How a part of a job ended: with its result or with its problem document, never with both."""

    result: Json | None
    problem: Json | None


class PartFailed(Exception):
    """A part of a job has failed, and with it the job: `problem` is the part's problem document."""

    def __init__(self, problem: Json) -> None:
        super().__init__(problem.get("detail", ""))
        self.problem = problem


Each = Callable[[str, Sequence[Json]], list[Ended]]


def results_of(ended: Sequence[Ended]) -> list[Json]:
    """Return the results of parts that must all be done. Raises PartFailed with the first one's problem."""
    for each in ended:
        if each.result is None:
            raise PartFailed(each.problem or {"detail": "a part of the job was cancelled"})
    return [each.result for each in ended if each.result is not None]


@dataclass(frozen=True, slots=True)
class Run:
    """What a handler gets: the job's arguments, who requested it, and `stage`, which reports progress.

    `each(kind, arguments)` lets other workers do the parts of a job, and returns how they ended, in order. The handler
    does not wait for them: it is left, and runs again from its beginning when all have ended; `each` then answers at
    once, because a kind and its arguments are done once for a job. A handler also runs again for a job whose worker has
    died. So its side effects must be idempotent, and what it asks for must not depend on the clock.
    """

    identifier: UUID
    arguments: Json
    requested_by: str
    stage: Stage
    each: Each


Handler = Callable[[Run], Json]


@dataclass(frozen=True, slots=True)
class Kind:
    """How jobs of a kind are done, and what is said of them to everybody where the factory itself has started one."""

    handle: Handler
    queue: Queue
    deadline: timedelta  # after its start; a job that is still open then fails
    title: Callable[[Json], str]  # of its arguments
    shares: Mapping[str, float]  # stage, by the first word of its name -> about its share of the whole time, in order


_KINDS: dict[str, Kind] = {}


def handler(
    kind: str,
    *,
    queue: Queue = Queue.WORK,
    deadline: timedelta = timedelta(hours=1),
    title: Callable[[Json], str] | None = None,
    shares: Mapping[str, float] | None = None,
) -> Callable[[Handler], Handler]:
    """Register a function as the handler of a kind of job; it returns the job's result or raises."""

    def register(function: Handler) -> Handler:
        known = Kind(function, queue, deadline, title or (lambda _: kind), shares or {})
        if _KINDS.setdefault(kind, known).handle is not function:
            raise ValueError(f"jobs of the kind {kind!r} have two handlers")
        return function

    return register


def kind_named(kind: str) -> Kind:
    """Return what is known of a kind of job. Raises LookupError for one that nobody registered."""
    return _KINDS[kind]
