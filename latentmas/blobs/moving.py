"""Copy every file from one storage to another; what was interrupted goes on where it stopped."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from latentmas.blobs.backends import Files, Stored
from latentmas.blobs.files import fetched
from latentmas.blobs.naming import digest_of
from latentmas.protocol.errors import LatentMASError, StorageAway, StorageUnavailable

AWAY_IN_A_ROW = 3  # then the storage itself is gone, and every other file would fail after a long wait


@dataclass(slots=True)
class Moved:
    copied: list[Stored] = field(default_factory=list)
    skipped: list[Stored] = field(default_factory=list)  # was there already
    failed: list[tuple[Stored, str]] = field(default_factory=list)  # with the reason
    left: int = 0  # files that were not tried, because a storage does not answer any more


@dataclass(frozen=True, slots=True)
class Route:
    source: Files
    target: Files
    verify: bool = False  # read every file back from the target
    delete_source: bool = False  # delete each file that was read back


def move(files: Iterable[Stored], route: Route, *, progress: Callable[[Stored], object] = lambda _: None) -> Moved:
    """Copy the files of the route's source to its target and return what became of each.

    One is skipped if the target has it with the same size, and copied again if it has other bytes.
    """
    moved, away = Moved(), 0
    for file in files:
        if away == AWAY_IN_A_ROW:
            moved.left += 1
            continue
        try:
            done = moved.copied if _move(file, route) else moved.skipped
        except LatentMASError as error:
            away = away + 1 if isinstance(error, StorageAway) else 0
            moved.failed.append((file, error.message))
        except OSError as error:
            moved.failed.append((file, error.strerror or str(error)))
        else:
            away = 0
            done.append(file)
        progress(file)
    return moved


def is_there(file: Stored, target: Files) -> bool:
    """Return whether the target has the file, by its name and size."""
    found = target.look(file.name)
    return found is not None and found.size == file.size


def _move(file: Stored, route: Route) -> bool:
    """Return whether the file had to be copied. Raises LatentMASError or OSError."""
    read_back = route.verify or route.delete_source
    needed = not is_there(file, route.target) or (read_back and not _is_right(file, route.target))
    if needed:
        _copy(file, route)
        if read_back and not _is_right(file, route.target):
            raise StorageUnavailable("the copy has another digest when it is read back")
    if route.delete_source:
        route.source.delete(file.name)
    return needed


def _copy(file: Stored, route: Route) -> None:
    with ExitStack() as opened:
        path = route.source.path_of(file.name)
        if path is None:  # checked as it comes
            path = opened.enter_context(fetched(route.source, file.digest, into=route.target.incoming))
        elif (found := digest_of(path)) != file.digest:
            raise StorageUnavailable(f"the source's file is damaged: its bytes have the digest {found}")
        route.target.keep(path, file.name)


def _is_right(file: Stored, target: Files) -> bool:
    if (path := target.path_of(file.name)) is not None:
        return digest_of(path) == file.digest
    try:
        with fetched(target, file.digest, into=target.incoming):
            return True
    except StorageAway:
        raise
    except LatentMASError:  # damaged, or gone meanwhile
        return False
