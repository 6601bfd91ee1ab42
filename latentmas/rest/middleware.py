"""Middleware for every request under /api: a body limit before parsing, problem documents, the protocol's header."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from latentmas.protocol.errors import LatentMASError
from latentmas.rest.problems import CONTENT_TYPE, problem, problem_for

API_PREFIX = "/api/"
PROTOCOL_HEADER = "LatentMAS-Protocol"
PROTOCOL = "LatentMAS/2.0"
FILE_TYPES = {"application/vnd.safetensors", "application/octet-stream"}
DETAILS = {
    400: "the request is malformed",
    403: "this is not allowed",
    404: "there is nothing at this address",
    405: "this address does not take this method",
    500: "something went wrong on this side; it has been logged",
}


class ApiMiddleware:
    """Applies to paths below /api/ only; right below the request's id, so that no failure escapes it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not _concerns(request):
            return self.get_response(request)
        response = _refused_body(request) or _as_problem(self.get_response(request))
        response[PROTOCOL_HEADER] = PROTOCOL
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer our own errors from plain Django views; REST framework's never come here."""
        if isinstance(error, LatentMASError) and _concerns(request):
            return problem_for(error)
        return None


def _concerns(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith(API_PREFIX)


def _refused_body(request: HttpRequest) -> HttpResponse | None:
    """Refuse a body by its declared length: nothing of it has been read yet."""
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        return problem(411, detail="a body needs a Content-Length", resolution="Do not send it in chunks.")
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return problem(400, detail="Content-Length is not a number")
    is_file = request.content_type in FILE_TYPES
    limit = settings.MAX_FILE_BYTES if is_file else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if length > limit:
        detail = f"the body has {length} bytes; the limit is {limit}"
        return problem(413, detail=detail, title="Too large", extra={"facts": {"limit": limit, "size": length}})
    return None


def _as_problem(response: HttpResponseBase) -> HttpResponseBase:
    """Replace an HTML or empty error answer, such as the resolver's 404 or a 500, by a problem document."""
    status = response.status_code
    if status < 400 or response.get("Content-Type", "").startswith(CONTENT_TYPE):
        return response
    replacement = problem(status, detail=DETAILS.get(status, "the request could not be carried out"))
    for name in ("Allow", "WWW-Authenticate", "Retry-After", "Content-Range"):
        if name in response:
            replacement[name] = response[name]
    return replacement
