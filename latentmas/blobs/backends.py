"""What the files need of the storage that holds them, be it a folder or a bucket."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, cast

from django.core.files.storage import storages

INCOMING = ".incoming-"  # begins the name of a file that is still being written


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a storage."""

    name: str  # ab/abcd...
    size: int  # bytes
    modified: datetime

    @property
    def digest(self) -> str:
        return f"sha256:{self.name[3:]}"


class Files(Protocol):
    """A storage of files. One that cannot be reached raises StorageAway from every method."""

    @property
    def incoming(self) -> Path:
        """The local folder where a file is written before it is kept."""

    def keep(self, temporary: Path, name: str) -> None:
        """Make a finished local file visible under its name, whole or not at all; it may be moved away."""

    def look(self, name: str) -> Stored | None:
        """Return what is known of a file, None where it is not there."""

    def path_of(self, name: str) -> Path | None:
        """Return where the file lies on this machine if it is there; None: it must be fetched."""

    def fetch(self, name: str, path: Path) -> None:
        """Write the file's bytes to a local path. Raises FileNotFoundError."""

    def address(self, name: str, *, filename: str, method: str, private: bool) -> str | None:
        """Return a URL under which the storage itself serves the file; None: it serves nothing."""

    def files(self) -> Iterator[Stored]:
        """Yield every file."""

    def delete(self, name: str) -> None:
        """Delete the file, if it is there."""

    def discard_unfinished(self, before: datetime) -> int:
        """Remove what writers that died before a moment left unfinished; return how many files that were."""


def chosen() -> Files:
    """Return the storage that the product uses."""
    return named("blobs")


def named(name: str) -> Files:
    """Return a storage of the settings by its name. Raises InvalidStorageError where it is not configured."""
    return cast(Files, storages[name])


def discard_incoming(folder: Path, before: datetime) -> int:
    """Remove the files that were last written to before a moment and never finished; return their number."""
    left = [path for path in folder.glob(f"{INCOMING}*") if modified_of(path) < before]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def modified_of(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
