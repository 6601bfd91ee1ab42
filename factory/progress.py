"""Progress callbacks of long work: commands show them as bars, jobs store them for polling."""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # steps done, steps in all
Stage = Callable[[str], Progress]  # begins a named part of the work and returns its callback


def silent(_name: str) -> Progress:
    """A `Stage` that discards its progress."""
    return lambda _done, _total: None
