"""Responses: JSON with snake_case keys (phase 1's camelCase on request), or a file with the JSON in a header."""

import base64
import hashlib
import json
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.protocol.errors import TooLarge
from latentmas.rest.parameters import camel_keys, wants_camel

Sent = TypeVar("Sent", bound=HttpResponseBase)
Json = dict[str, Any]
CONTENT_TYPE = "application/vnd.safetensors"
RESULT_HEADER = "LatentMAS-Result"  # beside a file: the JSON answer without its long members
BASE64_GROWTH = 4 / 3
# Phase 1's names that are not the camelCase of ours.
CAMEL_NAMES = {"ttftMs": "ttft", "prefillTtftMs": "prefillTtft"}


class SafetensorsRenderer(BaseRenderer):
    """Makes the file's media type selectable by `Accept`; the view builds that response itself."""

    media_type = CONTENT_TYPE
    format = "safetensors"
    charset = None
    render_style = "binary"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        return data


class CSVRenderer(BaseRenderer):
    """The same for CSV, by `Accept` or `?format=csv`."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        return data


def wants_file(request: Request) -> bool:
    return bool(request.accepted_renderer.media_type == CONTENT_TYPE)


def answer(request: Request, document: Json, *, status: int = 200) -> Response:
    """Return a JSON response, its keys in snake_case or camelCase as the request asks."""
    shown: Any = document
    if wants_camel(request):
        shown = camel_keys(document)
        if isinstance(metrics := shown.get("metrics"), dict):
            shown["metrics"] = {CAMEL_NAMES.get(name, name): value for name, value in metrics.items()}
    return Response(shown, status=status)


def private(response: Sent) -> Sent:
    """Return the response, to be kept by no cache."""
    response["Cache-Control"] = "private, no-store"
    return response


def file_answer(data: bytes, *, name: str, result: Json) -> HttpResponse:
    """Return the file, with its digest and what was measured in headers."""
    response = HttpResponse(data, content_type=CONTENT_TYPE)
    response["Repr-Digest"] = repr_digest(digest_of(data))
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response[RESULT_HEADER] = header_of(result)
    return response


def header_of(result: Json) -> str:
    return json.dumps(result, separators=(",", ":"))


def base64_of(data: bytes) -> str:
    """Return the file as base64 text. Raises TooLarge where that exceeds the limit of a JSON answer."""
    if len(data) * BASE64_GROWTH > (limit := settings.DATA_UPLOAD_MAX_MEMORY_SIZE):
        raise TooLarge(
            f"the file has {len(data)} bytes, too many for a JSON answer of at most {limit}",
            resolution=f"Send Accept: {CONTENT_TYPE}.",
            limit=limit,
            size=len(data),
        )
    return base64.b64encode(data).decode()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def repr_digest(digest: str) -> str:
    """Return `sha256:<hex>` as RFC 9530 writes it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest.removeprefix('sha256:'))).decode()}:"
