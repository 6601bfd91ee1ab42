"""Files in a local folder: fsynced beside their place, then renamed, so that a crash leaves nothing half-written."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage

from latentmas.blobs.backends import Stored, discard_incoming
from latentmas.blobs.naming import NAME


class LocalFiles(FileSystemStorage):
    """The storage of a machine on its own."""

    @property
    def incoming(self) -> Path:
        return Path(self.location)  # a rename works within one file system only

    def keep(self, temporary: Path, name: str) -> None:
        final = Path(self.path(name))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(settings.FILE_UPLOAD_PERMISSIONS)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(final)  # over one with the same bytes, if there is one
        descriptor = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def look(self, name: str) -> Stored | None:
        try:
            found = os.stat(self.path(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Stored(name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def path_of(self, name: str) -> Path | None:
        return Path(self.path(name))

    def fetch(self, name: str, path: Path) -> None:
        shutil.copyfile(self.path(name), path)

    def address(self, name: str, *, filename: str, method: str, private: bool) -> str | None:
        return None

    def files(self) -> Iterator[Stored]:
        for path in sorted(Path(self.location).glob("??/*")):
            name = path.relative_to(self.location).as_posix()
            # One may have been deleted since it was listed.
            if NAME.fullmatch(name) and (found := self.look(name)) is not None:
                yield found

    def discard_unfinished(self, before: datetime) -> int:
        return discard_incoming(self.incoming, before)
