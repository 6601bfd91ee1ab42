"""Files in the body of a request, or in a form: counted and hashed as they arrive, never in memory as a whole."""

import hashlib
from typing import Any, BinaryIO

from django.core.files.uploadedfile import UploadedFile
from django.http import UnreadablePostError
from rest_framework.request import Request

from latentmas import blobs
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.uploads import CHUNK_BYTES
from marketplace.uploads.commands import require_size
from marketplace.uploads.errors import digest_mismatch


def receive_file(request: Request, *, announced: str | None) -> tuple[str, int]:
    """Store the body as a file and return its digest and size in bytes.

    Raises TooLarge by the declared length before anything is read, InvalidInput for a body that is empty or broke off,
    DigestMismatch where the file is not the announced one, StorageUnavailable; then nothing is kept.
    """
    size = length_of(request)
    require_size(size)

    def write(file: BinaryIO) -> None:
        sha256, came = hashlib.sha256(), 0
        while chunk := read_chunk(request, CHUNK_BYTES):
            file.write(chunk)
            sha256.update(chunk)
            came += len(chunk)
        if came != size:
            raise InvalidInput(f"the body broke off after {came} of {size} bytes", field="body")
        digest = f"sha256:{sha256.hexdigest()}"
        if announced not in (None, digest):
            raise digest_mismatch(digest, announced=announced)

    return blobs.put(write), size


def receive_form_file(file: "UploadedFile[Any]") -> tuple[str, int]:
    """Store a file of a form and return its digest and size in bytes.

    Raises TooLarge, InvalidInput or StorageUnavailable; then nothing is kept.
    """
    size = file.size or 0
    require_size(size)

    def write(stored: BinaryIO) -> None:
        for chunk in file.chunks(CHUNK_BYTES):
            stored.write(chunk)

    return blobs.put(write), size


def read_chunk(request: Request, size: int) -> bytes:
    """Return the next bytes of the body; none where it has ended or the connection broke."""
    try:
        return bytes(request._request.read(size))
    except UnreadablePostError:
        return b""


def length_of(request: Request) -> int:
    """Return the declared length of the body, which the middleware has checked to be a number."""
    return int(request.META.get("CONTENT_LENGTH") or 0)
