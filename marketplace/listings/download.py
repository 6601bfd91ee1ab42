"""Send a W-Matrix file: whole or one byte range, with the digest it must have."""

import base64
import re
from collections.abc import Iterator
from typing import BinaryIO

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from latentmas import blobs
from latentmas.problems import problem
from marketplace.listings.api import offered_version
from marketplace.listings.models import ListingVersion

CONTENT_TYPE = "application/vnd.safetensors"
CHUNK_BYTES = 1 << 18
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@extend_schema(
    operation_id="w_matrices_file",
    responses={(200, CONTENT_TYPE): OpenApiTypes.BINARY, (206, CONTENT_TYPE): OpenApiTypes.BINARY},
)
@api_view(["GET", "HEAD"])
@permission_classes([AllowAny])
def file(request: Request, listing_id: str, version: str) -> HttpResponseBase:
    """Download the W-Matrix file; `Repr-Digest` (RFC 9530) and the ETag are the SHA-256 of the whole file."""
    row = offered_version(listing_id, version)
    etag = f'"{row.file_digest}"'
    if {etag, "*"} & {known.removeprefix("W/") for known in parse_etags(request.headers.get("If-None-Match", ""))}:
        return _described(HttpResponse(status=304), row)
    # A range of a file that has changed since would be garbage: If-Range then asks for the whole.
    wanted = request.headers.get("Range", "") if request.headers.get("If-Range", etag) == etag else ""
    opened = blobs.open_blob(row.file_digest)
    if (match := RANGE.fullmatch(wanted)) and match[0] != "bytes=-":
        return _described(_part(opened, match, row.file_size), row)
    return _described(FileResponse(opened, content_type=CONTENT_TYPE), row)


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


def _described(response: HttpResponseBase, row: ListingVersion) -> HttpResponseBase:
    digest = bytes.fromhex(row.file_digest.removeprefix("sha256:"))
    name = UNSAFE.sub("-", f"{row.source_model}--{row.target_model}--{row.version}")
    response["ETag"] = f'"{row.file_digest}"'
    response["Accept-Ranges"] = "bytes"
    if response.status_code < 300:
        response["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
        response["Content-Disposition"] = f'attachment; filename="{name}.safetensors"'
        response["X-LatentMAS-Basis"] = row.basis
    return response
