"""Put files into the storage and take them out, each by its digest."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from latentmas.blobs.backends import INCOMING, Files, Stored, chosen
from latentmas.blobs.naming import digest_of, name_of
from latentmas.protocol.errors import NotFound, StorageUnavailable

# A file that is put again after so long is written again: the sweep, which spares what is younger than a day, must not
# take it for old before anything names it.
FRESH = timedelta(hours=12)


def put_bytes(data: bytes) -> str:
    """Store the bytes and return their digest. Raises StorageUnavailable."""
    return put(lambda file: file.write(data))


def put(write: Callable[[BinaryIO], object]) -> str:
    """Store what `write` puts into the file it is given, and return its digest. Raises StorageUnavailable."""
    storage = chosen()
    try:
        with _incoming(storage.incoming) as temporary:
            with temporary.open("w+b") as file:
                write(file)
            digest = digest_of(temporary)
            known = storage.look(name_of(digest))
            if known is None or datetime.now(UTC) - known.modified > FRESH:
                storage.keep(temporary, name_of(digest))
    except OSError as error:
        raise StorageUnavailable(f"the file could not be stored: {error.strerror or error}") from error
    return digest


def open_blob(digest: str) -> BinaryIO:
    """Return the file for reading. Raises NotFound or StorageUnavailable.

    One that must be fetched is checked, and leaves no copy here: it may be private.
    """
    storage, name = chosen(), name_of(digest)
    if (here := storage.path_of(name)) is not None:
        with _reading(digest):
            return here.open("rb")
    with fetched(storage, digest, into=storage.incoming) as temporary:
        return temporary.open("rb")  # the open file outlives its name


def get_bytes(digest: str) -> bytes:
    """Return all of a file, for what is held in memory anyway. Raises NotFound or StorageUnavailable."""
    with open_blob(digest) as file:
        return file.read()


def local_path(digest: str) -> Path:
    """Return a local path of a public file, fetched into the cache from remote storage.

    Raises NotFound or StorageUnavailable, also where what was fetched has another digest.
    """
    storage, name = chosen(), name_of(digest)
    if (here := storage.path_of(name)) is not None:
        if not here.exists():
            raise _missing(digest)
        return here
    path = _cached(name)
    if not path.exists():
        with fetched(storage, digest, into=path.parent) as temporary:
            temporary.replace(path)
    return path


def address(digest: str, *, filename: str, method: str, private: bool) -> str | None:
    """Return the URL under which the storage itself serves the file; None where the product must do it.

    A private file's is always signed and expires. Raises NotFound or StorageUnavailable.
    """
    storage, name = chosen(), name_of(digest)
    if storage.path_of(name) is None and _look(digest) is None:
        raise _missing(digest)
    return storage.address(name, filename=filename, method=method, private=private)


def delete(digest: str) -> None:
    """Delete the file, if it is stored; only for files that no event and no row names."""
    name = name_of(digest)
    chosen().delete(name)
    _cached(name).unlink(missing_ok=True)


def exists(digest: str) -> bool:
    """Return whether the file is stored. Raises StorageUnavailable."""
    return _look(digest) is not None


def size(digest: str) -> int:
    """Return how many bytes the file has. Raises NotFound or StorageUnavailable."""
    found = _look(digest)
    if found is None:
        raise _missing(digest)
    return found.size


def stored() -> Iterator[Stored]:
    """Yield every stored file: digest, size, and when it was written."""
    return chosen().files()


@contextmanager
def fetched(storage: Files, digest: str, *, into: Path) -> Iterator[Path]:
    """Copy a file out of a storage and yield its path in the folder; removed at the end, unless it was moved.

    Raises NotFound, or StorageUnavailable also where what came has another digest.
    """
    with _reading(digest), _incoming(into) as temporary:
        storage.fetch(name_of(digest), temporary)
        if (came := digest_of(temporary)) != digest:
            raise StorageUnavailable(f"the stored file {digest} is damaged: its bytes have the digest {came}")
        yield temporary


@contextmanager
def _incoming(folder: Path) -> Iterator[Path]:
    """Yield an empty file in the folder; removed at the end, unless it was moved."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=INCOMING, delete=False) as file:
        temporary = Path(file.name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _look(digest: str) -> Stored | None:
    with _reading(digest):
        return chosen().look(name_of(digest))


@contextmanager
def _reading(digest: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _missing(digest) from None
    except OSError as error:
        raise StorageUnavailable(f"the file {digest} could not be read: {error.strerror or error}") from error


def _missing(digest: str) -> NotFound:
    return NotFound(f"no file with the digest {digest} is stored")


def _cached(name: str) -> Path:
    return Path(settings.CACHE_DIR) / "blobs" / name
