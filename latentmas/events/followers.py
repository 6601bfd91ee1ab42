"""Followers: work that is done for the log's events after they are committed, from a stored cursor on.

The cursor moves in the transaction that does the work, so a crash loses nothing and repeats nothing that was committed.
Wake a follower in `on_commit`; its cursor tells it whether there is anything to do.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from latentmas.events import store
from latentmas.events.errors import LogCorrupted
from latentmas.events.models import FollowerCursor
from latentmas.events.transactions import transact
from latentmas.events.types import Recorded


class Positioned(Protocol):
    @property
    def position(self) -> int: ...


Row = TypeVar("Row", bound=Positioned)
Handle = Callable[[list[Row]], None]


class Read(Protocol[Row]):
    """Reads a page of the log: whole events, or only what the follower needs of them."""

    def __call__(self, *, after: int, limit: int) -> list[Row]: ...


def follow(name: str, handle: Handle[Recorded], *, batch: int = store.PAGE) -> int:
    """Hand the events after the cursor to `handle`, one page per transaction, and return how many there were.

    Processes that run the same follower take turns at its cursor: each event is handled in exactly one committed
    transaction. `handle` is called again with the same events after a deadlock or a crash, and must not be slow: on
    SQLite nobody else can write meanwhile. Raises what `handle` raises; then the page counts as not read.
    """
    return follow_rows(name, handle, read=store.read_all, batch=batch)


def follow_rows(name: str, handle: Handle[Row], *, read: Read[Row], batch: int) -> int:
    """Do as `follow` with what `read` gives of each event."""
    total = 0
    # The first look takes no lock: an idle follower must not hold up the writers.
    while cursor(name) < store.head_position():
        handled = transact(lambda: _page(name, handle, read=read, batch=batch))
        if not handled:
            break
        total += handled
    return total


def cursor(name: str) -> int:
    """Return the position up to which the follower has read, 0 before it has begun."""
    return FollowerCursor.objects.filter(name=name).values_list("position", flat=True).first() or 0


def _page(name: str, handle: Handle[Row], *, read: Read[Row], batch: int) -> int:
    FollowerCursor.objects.bulk_create([FollowerCursor(name=name)], ignore_conflicts=True)
    done = FollowerCursor.objects.select_for_update().get(name=name).position
    events = read(after=done, limit=batch)
    if not events:
        return 0
    handle(events)
    moved = FollowerCursor.objects.filter(name=name, position=done).update(position=events[-1].position)
    if moved != 1:
        raise LogCorrupted(f"the cursor of the follower {name!r} was moved by its own work")
    return len(events)
