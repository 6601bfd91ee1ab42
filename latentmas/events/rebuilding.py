"""Rebuild projections from the whole log, or check their rows against it.

1. Empty temporary tables are created that shadow the live ones.
2. The projectors fill them page by page, while writers continue.
3. Rebuild: under locks of all live tables and of the head row, the rest is projected and the rows are swapped.
   Check: in one snapshot of the database, the rest is projected and the rows are compared; nobody waits.
4. The temporary tables are dropped. A failure anywhere leaves the live tables as they were.
"""

from collections.abc import Callable, Sequence

from latentmas.events import shadows, store
from latentmas.events.projections import Projector, projectors
from latentmas.events.shadows import Difference
from latentmas.events.transactions import transact
from latentmas.protocol.errors import NotFound

Progress = Callable[[int, int], None]  # events projected, events in the log


def chosen(names: Sequence[str]) -> list[Projector]:
    """Return the projectors whose names are or end with one of `names`; all of them for none. Raises NotFound."""
    known = projectors()
    for name in names:
        if not any(_is_named(each, name) for each in known):
            raise NotFound(f"no projector is called {name!r}; there are {', '.join(each.name for each in known)}")
    return [each for each in known if not names or any(_is_named(each, name) for name in names)]


def rebuild(selected: Sequence[Projector], *, progress: Progress | None = None, page: int = store.PAGE) -> int:
    """Replace the rows of the projectors' tables by what the log gives, and return the number of events read."""
    with shadows.shadowed(_models(selected)) as tables:
        done = _project_in_background(selected, progress=progress, page=page)

        def finish() -> int:
            shadows.lock(tables)
            last = _project_rest(selected, after=done, progress=progress, page=page)
            for table in tables:
                shadows.swap(table)
            return last

        return transact(finish)


def check(
    selected: Sequence[Projector], *, progress: Progress | None = None, page: int = store.PAGE
) -> list[Difference]:
    """Return the tables whose rows differ from those projected from the log."""
    with shadows.shadowed(_models(selected)) as tables:
        done = _project_in_background(selected, progress=progress, page=page)
        with shadows.one_state():
            _project_rest(selected, after=done, progress=progress, page=page)
            found = [shadows.difference(table) for table in tables]
    return [each for each in found if each.only_live or each.only_log]


def _models(selected: Sequence[Projector]) -> list[type]:
    return [model for each in selected for model in each.writes]


def _project_in_background(selected: Sequence[Projector], *, progress: Progress | None, page: int) -> int:
    """Project the events that the log holds now, one page per transaction, and return the last position."""
    after, until = 0, store.head_position()
    while after < until:
        with shadows.one_state():
            after = _project_page(selected, after=after, page=page)
        if progress:
            progress(after, max(until, after))
    return after


def _project_rest(selected: Sequence[Projector], *, after: int, progress: Progress | None, page: int) -> int:
    until = store.head_position()
    while after < until:
        after = _project_page(selected, after=after, page=page)
    if progress:
        progress(after, after)
    return after


def _project_page(selected: Sequence[Projector], *, after: int, page: int) -> int:
    events = store.read_all(after=after, limit=page)
    for each in selected:
        each.project_its(events)
    return events[-1].position


def _is_named(each: Projector, name: str) -> bool:
    return each.name == name or each.name.endswith(f".{name}")
