"""Job handlers: one function for each kind of job, registered in the module `jobs` of the app that has it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Progress = Callable[[int, int], None]  # done, total
Stage = Callable[[str], Progress]  # opens the progress of a named stage


@dataclass(frozen=True, slots=True)
class Run:
    """What a handler gets: the job's arguments, who requested it, and `stage`, which reports progress.

    A handler runs again for a job whose worker has died, so its side effects must be idempotent.
    """

    arguments: Json
    requested_by: str
    stage: Stage


Handler = Callable[[Run], Json]
_HANDLERS: dict[str, Handler] = {}


def handler(kind: str) -> Callable[[Handler], Handler]:
    """Register a function as the handler of a kind of job; it returns the job's result or raises."""

    def register(function: Handler) -> Handler:
        if _HANDLERS.setdefault(kind, function) is not function:
            raise ValueError(f"jobs of the kind {kind!r} have two handlers")
        return function

    return register


def handler_of(kind: str) -> Handler:
    """Return the handler. Raises LookupError for a kind that nobody registered."""
    return _HANDLERS[kind]
