"""Changes: what outsiders may know of the log, for the public feed and for webhooks.

The app that owns an event type says, in its module `changes`, who may know of its events. A type that no app has
spoken for is in no feed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from latentmas.events import store
from latentmas.events.types import Recorded, event_type_of_class

Facts = Mapping[str, object]
Viewer = frozenset[str]  # ids of the agents that look
Describe = Callable[[Sequence[Recorded], Viewer], Mapping[int, Facts]]

PUBLIC: Viewer = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """One event as outsiders see it: never its body. `facts` is what its app adds."""

    position: int
    type: str
    subject: str  # its stream
    time: datetime
    facts: Facts


@dataclass(frozen=True, slots=True)
class Page:
    """Changes in log order, and the position up to which the log was read for them."""

    changes: Sequence[Change]
    read_to: int


_DESCRIBERS: dict[type, Describe] = {}


def describes_changes(*types: type) -> Callable[[Describe], Describe]:
    """Register a function that says which events of these types a viewer may know of.

    It gets a page of events and the viewer, and returns what to add to each one's change, by position; an event that
    it leaves out stays hidden. It should ask the database once for the whole page.
    """

    def register(describe: Describe) -> Describe:
        for each in types:
            if _DESCRIBERS.setdefault(each, describe) is not describe:
                raise ValueError(f"two functions describe the changes of {each.__name__}")
        return describe

    return register


def everybody_may_know(*types: type) -> None:
    """Put every event of these types into the public feed, with no facts beyond type, subject and time."""
    describes_changes(*types)(_nothing_hidden)


def change_types() -> dict[str, type]:
    """Return the event types that can be in a feed, by name."""
    return {event_type_of_class(each).name: each for each in _DESCRIBERS}


def read_changes(*, after: int, types: Sequence[str], viewer: Viewer = PUBLIC, limit: int = store.PAGE) -> Page:
    """Return the changes among the next `limit` events of these types after a position, for one viewer."""
    head = store.head_position()  # before the page: what is appended meanwhile belongs to the next one
    events = store.read_all(after=after, limit=limit, types=types)
    last = events[-1].position if len(events) == limit else max(head, after)
    return Page(visible(events, viewer), max([last, *(event.position for event in events)]))


def visible(events: Sequence[Recorded], viewer: Viewer) -> list[Change]:
    """Return what the viewer may know of the events."""
    described: dict[int, Facts] = {}
    for describe in {_DESCRIBERS[type(event.data)] for event in events if type(event.data) in _DESCRIBERS}:
        its = [event for event in events if _DESCRIBERS.get(type(event.data)) is describe]
        described |= describe(its, viewer)
    return [
        Change(event.position, event.type, event.stream, event.recorded_at, described[event.position])
        for event in events
        if event.position in described
    ]


def _nothing_hidden(events: Sequence[Recorded], viewer: Viewer) -> Mapping[int, Facts]:
    del viewer
    return {event.position: {} for event in events}
