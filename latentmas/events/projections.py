"""Projectors: pure functions from events to rows of the tables they own.

A projector uses no clock, no settings and no position, takes keys from the events, and must give the same rows whatever
the order of events of *different* streams, because live projection runs before the log orders the commit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db.models import Model

from latentmas.events.types import Envelope

Project = Callable[[Sequence[Envelope]], None]


@dataclass(frozen=True, slots=True)
class Projector:
    name: str
    writes: tuple[type[Model], ...]
    handles: frozenset[type]
    project: Project

    def project_its(self, events: Sequence[Envelope]) -> None:
        """Hand the function those events that it handles."""
        if wanted := [event for event in events if type(event.data) in self.handles]:
            self.project(wanted)


_PROJECTORS: dict[str, Projector] = {}


def projector(*, writes: Sequence[type[Model]], handles: Sequence[type]) -> Callable[[Project], Project]:
    """Register a function as the only writer of the tables `writes`; it is given the events of the types `handles`."""

    def register(function: Project) -> Project:
        name = f"{function.__module__}.{function.__name__}"
        for other in _PROJECTORS.values():
            if shared := {model._meta.db_table for model in set(other.writes) & set(writes)}:
                raise ValueError(f"{', '.join(sorted(shared))} has two writers: {other.name} and {name}")
        _PROJECTORS[name] = Projector(name, tuple(writes), frozenset(handles), function)
        return function

    return register


def projectors() -> Sequence[Projector]:
    return tuple(_PROJECTORS.values())


def project(events: Sequence[Envelope]) -> None:
    """Hand each projector its events of the batch, in order."""
    for each in _PROJECTORS.values():
        each.project_its(events)
