"""Progress callbacks of long work: what it reports to, whoever shows it."""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # steps done, steps in all
Stage = Callable[[str], Progress]  # begins a named part of the work and returns what its steps are reported to


def silent(_name: str) -> Progress:
    """A stage whose progress nobody watches."""
    return lambda _done, _total: None
