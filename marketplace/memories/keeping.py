"""Who else needs the file of a stored memory: a file that is listed or sold outlives the memory that it was."""

from collections.abc import Callable

Keeper = Callable[[str], bool]
_KEEPERS: list[Keeper] = []


def keeper(function: Keeper) -> Keeper:
    """Register a function that says whether its app still needs a file, by its digest; asked at each deletion."""
    _KEEPERS.append(function)
    return function


def is_kept(digest: str) -> bool:
    return any(each(digest) for each in _KEEPERS)
