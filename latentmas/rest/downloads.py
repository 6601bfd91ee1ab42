"""Send a stored file: whole or one byte range, or the address where the storage serves it, with its digest."""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags

from latentmas import blobs
from latentmas.rest.answers import CONTENT_TYPE, repr_digest
from latentmas.rest.problems import problem

CHUNK_BYTES = 1 << 18
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
PRIVATE = "private, no-store"
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def send_file(
    request: HttpRequest,
    *,
    digest: str,
    size: int,
    name: str,
    private: bool = False,
    headers: Mapping[str, str] | None = None,
) -> HttpResponseBase:
    """Answer a GET or HEAD for a blob; `Repr-Digest` (RFC 9530) and the ETag are the SHA-256 of the whole file.

    `headers` come with every answer that holds bytes or leads to them. A private file is kept by no cache. Raises
    NotFound where the blob is not stored, or StorageUnavailable.
    """
    filename = UNSAFE.sub("-", name)
    shown = {"Repr-Digest": repr_digest(digest), **(headers or {})} | ({"Cache-Control": PRIVATE} if private else {})
    etag = f'"{digest}"'
    if {etag, "*"} & {known.removeprefix("W/") for known in parse_etags(request.headers.get("If-None-Match", ""))}:
        return _described(HttpResponse(status=304), digest)
    elsewhere = blobs.address(digest, filename=filename, method=request.method or "GET", private=private)
    if elsewhere is not None:
        # Kept for half the life of the URL it names, which therefore still works.
        kept = {"Cache-Control": f"public, max-age={settings.BLOBS_URL_SECONDS // 2}"}
        return _described(HttpResponse(status=302, headers={"Location": elsewhere} | kept | shown), digest)
    # A range of a file that has changed since would be garbage: If-Range then asks for the whole.
    wanted = request.headers.get("Range", "") if request.headers.get("If-Range", etag) == etag else ""
    opened = blobs.open_blob(digest)
    if (match := RANGE.fullmatch(wanted)) and match[0] != "bytes=-":
        response = _part(opened, match, size)
    else:
        response = FileResponse(opened, content_type=CONTENT_TYPE)
    if response.status_code < 300:
        response["Content-Disposition"] = f'attachment; filename="{filename}"'
        for header, value in shown.items():
            response[header] = value
    return _described(response, digest)


def _part(opened: BinaryIO, match: re.Match[str], size: int) -> HttpResponseBase:
    """Return 206 with the bytes of the range, or 416 where it lies outside the file."""
    first, last = match[1], match[2]
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        opened.close()
        refused = problem(416, detail=f"the file has {size} bytes")
        refused["Content-Range"] = f"bytes */{size}"
        return refused
    length = end - start + 1
    response = StreamingHttpResponse(_chunks(opened, start, length), status=206, content_type=CONTENT_TYPE)
    response["Content-Range"] = f"bytes {start}-{end}/{size}"
    response["Content-Length"] = str(length)
    return response


def _chunks(opened: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    with opened:
        opened.seek(start)
        while length and (chunk := opened.read(min(length, CHUNK_BYTES))):
            length -= len(chunk)
            yield chunk


def _described(response: HttpResponseBase, digest: str) -> HttpResponseBase:
    response["ETag"] = f'"{digest}"'
    response["Accept-Ranges"] = "bytes"
    return response
