"""Content-addressed files: a file is named by its SHA-256, written once, and never changed.

Local files go to a temporary name, are fsynced and renamed, so that a crash or a full disk leaves nothing half-written.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from latentmas.protocol.errors import InvalidInput, NotFound, StorageUnavailable

DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
CHUNK_BYTES = 1 << 20


def put_bytes(data: bytes) -> str:
    """Store the bytes and return their digest. Raises StorageUnavailable."""
    return put(lambda file: file.write(data))


def put(write: Callable[[BinaryIO], object]) -> str:
    """Store what `write` puts into the file it is given, and return its digest. Raises StorageUnavailable."""
    storage = _storage()
    folder = Path(storage.location) if isinstance(storage, FileSystemStorage) else None
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".incoming-") as temporary:
            write(temporary)  # type: ignore[arg-type]
            temporary.flush()
            digest = digest_of(Path(temporary.name))
            name = _name(digest)
            if storage.exists(name):
                return digest
            if folder is None:
                with open(temporary.name, "rb") as readable:
                    storage.save(name, File(readable))
            else:
                _keep(Path(temporary.name), folder / name)
    except OSError as error:
        raise StorageUnavailable(f"the file could not be stored: {error.strerror or error}") from error
    return digest


def open_blob(digest: str) -> BinaryIO:
    """Return the file for reading. Raises NotFound."""
    try:
        return _storage().open(_name(digest))  # type: ignore[return-value]
    except FileNotFoundError:
        raise NotFound(f"no file with the digest {digest} is stored") from None


def local_path(digest: str) -> Path:
    """Return a local path of the file, fetched into the cache from remote storage. Raises NotFound."""
    storage, name = _storage(), _name(digest)
    if not storage.exists(name):
        raise NotFound(f"no file with the digest {digest} is stored")
    if isinstance(storage, FileSystemStorage):
        return Path(storage.path(name))
    path = Path(settings.CACHE_DIR) / "blobs" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with storage.open(name) as remote, tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as temporary:
            shutil.copyfileobj(remote, temporary, CHUNK_BYTES)
        Path(temporary.name).replace(path)
    return path


def delete(digest: str) -> None:
    """Delete the file, if it is stored; only for private files, whose digest no event holds."""
    _storage().delete(_name(digest))


def exists(digest: str) -> bool:
    return _storage().exists(_name(digest))


def size(digest: str) -> int:
    return _storage().size(_name(digest))


def digest_of(path: Path) -> str:
    """Return `sha256:<hex>` of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _keep(temporary: Path, final: Path) -> None:
    """Fsync the finished file, then give it its final name: a hard link, as the temporary name is deleted later."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.chmod(settings.FILE_UPLOAD_PERMISSIONS)
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(temporary, final)
    except FileExistsError:  # another writer got there first, with the same bytes
        return
    except OSError:  # a file system without hard links
        shutil.copyfile(temporary, partial := final.with_suffix(f".{os.getpid()}.partial"))
        partial.rename(final)
    descriptor = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name(digest: str) -> str:
    match = DIGEST.fullmatch(digest)
    if match is None:
        raise InvalidInput(f"{digest!r} is not a digest; write sha256: and 64 hex digits", field="digest")
    return f"{match[1][:2]}/{match[1]}"


def _storage() -> Storage:
    return storages["blobs"]
