"""Begin, continue and end an upload. An upload that broke off goes on where the bytes that arrived end."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.utils import timezone

from latentmas import blobs
from latentmas.protocol.errors import Conflict, InvalidInput, StorageUnavailable, TooLarge
from latentmas.rest.uploads import CHUNK_BYTES
from marketplace.uploads.errors import UploadOffsetMismatch, digest_mismatch
from marketplace.uploads.models import Upload

ID_BYTES = 16
Read = Callable[[int], bytes]


def begin_upload(owner: str, *, size: int, digest: str) -> Upload:
    """Announce a file. Raises TooLarge by its announced size, InvalidInput, or Conflict where too many are open."""
    require_size(size)
    if blobs.DIGEST.fullmatch(digest) is None:
        raise InvalidInput(f"{digest!r} is not a digest; write sha256: and 64 hex digits", field="digest")
    remove_expired()
    if Upload.objects.filter(owner=owner).count() >= settings.UPLOADS_OPEN:
        raise Conflict(
            f"you have {settings.UPLOADS_OPEN} uploads, the limit",
            resolution="Delete one with DELETE /api/uploads/{id}, or wait until one expires.",
        )
    now = timezone.now()
    return Upload.objects.create(
        id=secrets.token_hex(ID_BYTES),
        owner=owner,
        size=size,
        digest=digest,
        created_at=now,
        expires_at=now + timedelta(seconds=settings.UPLOAD_SECONDS),
    )


def continue_upload(upload: Upload, read: Read, *, offset: int, length: int) -> Upload:
    """Append `length` bytes from `read`; with the last one the file is checked and stored.

    Bytes that arrived before the connection broke are kept. Raises UploadOffsetMismatch, TooLarge, StorageUnavailable,
    Conflict while another request writes, or DigestMismatch, which ends the upload.
    """
    with _partial(upload) as file:
        upload.refresh_from_db()  # another request may just have sent the last byte
        _require_offset(upload, file, offset)
        if offset + length > upload.size:
            raise TooLarge(
                f"{length} bytes from {offset} on exceed the {upload.size} bytes that were announced",
                limit=upload.size - offset,
                size=length,
            )
        left = length
        while left and (chunk := read(min(CHUNK_BYTES, left))):
            file.write(chunk)
            left -= len(chunk)
        file.flush()
        if file.tell() == upload.size:
            _finish(upload, file)
    return upload


def offset_of(upload: Upload) -> int:
    """Return how many bytes of the file have arrived."""
    if upload.stored_at is not None:
        return upload.size
    path = _path(upload)
    return path.stat().st_size if path.exists() else 0


def end_upload(upload: Upload) -> None:
    """Forget an upload and what has arrived of it. A file that was published from it stays."""
    _path(upload).unlink(missing_ok=True)
    Upload.objects.filter(id=upload.id).delete()


def remove_expired() -> None:
    for row in Upload.objects.filter(expires_at__lte=timezone.now()):
        end_upload(row)


def require_size(size: int) -> None:
    """Raise TooLarge or InvalidInput for a size that no W-Matrix file may have."""
    limit = settings.W_MATRIX_MAX_BYTES
    if size > limit:
        raise TooLarge(f"the file has {size} bytes; the limit is {limit}", limit=limit, size=size)
    if size < 1:
        raise InvalidInput("the file is empty", field="size")


def _finish(upload: Upload, file: BinaryIO) -> None:
    """Store the complete file under its digest. Raises DigestMismatch, which ends the upload, or StorageUnavailable."""
    came = blobs.digest_of(_path(upload))
    if came != upload.digest:
        end_upload(upload)
        raise digest_mismatch(came, announced=upload.digest)
    file.seek(0)
    blobs.put(lambda stored: shutil.copyfileobj(file, stored, CHUNK_BYTES))
    upload.stored_at = timezone.now()
    upload.save(update_fields=["stored_at"])
    _path(upload).unlink(missing_ok=True)


def _require_offset(upload: Upload, file: BinaryIO, offset: int) -> None:
    there = file.tell() if upload.stored_at is None else upload.size
    if upload.stored_at is not None or there != offset:
        raise UploadOffsetMismatch(
            f"these bytes begin at {offset}; of the upload {upload.id}, {there} have arrived",
            field="Upload-Offset",
            offset=there,
        )


@contextmanager
def _partial(upload: Upload) -> Iterator[BinaryIO]:
    """Open what has arrived of a file at its end, alone. Raises Conflict while another request has it open."""
    path = _path(upload)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    f"another request is sending bytes of the upload {upload.id}",
                    resolution="Wait for its end, then ask for the offset.",
                ) from None
            file.seek(0, os.SEEK_END)
            yield file
    except OSError as error:
        raise StorageUnavailable(f"the bytes could not be kept: {error.strerror or error}") from error


def _path(upload: Upload) -> Path:
    return Path(settings.DATA_DIR) / "uploads" / upload.id
