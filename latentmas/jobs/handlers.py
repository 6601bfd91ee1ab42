"""What can be done as a job: one function a kind, registered in the module `jobs` of the app that knows how."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Progress = Callable[[int, int], None]  # done, total
Stage = Callable[[str], Progress]  # opens the progress of a named stage


@dataclass(frozen=True, slots=True)
class Run:
    """What a handler is told: the job's arguments, who asked, and where to say how far it is.

    A handler may be called again for a job whose worker has died, so whatever it leaves behind must bear that.
    """

    arguments: Json
    requested_by: str
    stage: Stage


Handler = Callable[[Run], Json]
_HANDLERS: dict[str, Handler] = {}


def handler(kind: str) -> Callable[[Handler], Handler]:
    """Register a function as what a job of this kind does; it returns the result or raises."""

    def register(function: Handler) -> Handler:
        if _HANDLERS.setdefault(kind, function) is not function:
            raise ValueError(f"jobs of the kind {kind!r} have two handlers")
        return function

    return register


def handler_of(kind: str) -> Handler:
    """Return the handler. Raises LookupError for a kind that nobody registered."""
    return _HANDLERS[kind]
