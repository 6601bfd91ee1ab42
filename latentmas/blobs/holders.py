"""Who holds which files: one function for each place that names digests, registered in the app's module `holdings`."""

from collections.abc import Callable, Collection

Holder = Callable[[frozenset[str]], Collection[str]]
_HOLDERS: list[Holder] = []


def holder(function: Holder) -> Holder:
    """Register a function that returns those of the given digests that its app names, so that no sweep deletes them.

    The event log has one for everything that an event names; a table that is not made from events needs its own.
    """
    _HOLDERS.append(function)
    return function


def held(digests: frozenset[str]) -> set[str]:
    """Return those of the digests that anybody holds."""
    return {digest for each in _HOLDERS for digest in each(digests)}
