"""Errors over HTTP: every failure under /api is one RFC 9457 problem document, whatever the client accepts."""

import json
import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseBase
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotAcceptable, ParseError, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from latentmas import request_ids
from latentmas.protocol.errors import LatentMASError

Sent = TypeVar("Sent", bound=HttpResponseBase)
CONTENT_TYPE = "application/problem+json"
TYPE_BASE = "/api/docs#"  # the page explains each code

# The codes of failures that no LatentMASError describes: those of HTTP itself.
HTTP_CODES: Mapping[int, str] = {
    400: "BAD_REQUEST",
    401: "NOT_AUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    411: "LENGTH_REQUIRED",
    413: "TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "RANGE_NOT_SATISFIABLE",
    422: "INVALID_INPUT",
    429: "THROTTLED",
    500: "INTERNAL_ERROR",
    503: "UNAVAILABLE",
}


def problem(
    status: int,
    *,
    detail: str,
    code: str | None = None,
    title: str | None = None,
    resolution: str = "",
    extra: Mapping[str, object] | None = None,
) -> HttpResponse:
    """Return a problem document. Members without a value are left out."""
    code = code or HTTP_CODES.get(status, "ERROR")
    document: dict[str, object] = {
        "type": f"{TYPE_BASE}{code}",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if resolution:
        document["resolution"] = resolution
    if status >= 500 and (request_id := request_ids.current()) is not None:
        document["request_id"] = request_id  # the log has more under it
    document |= extra or {}
    return HttpResponse(json.dumps(document, default=str), status=status, content_type=CONTENT_TYPE)


def problem_for(error: LatentMASError) -> HttpResponse:
    """Return the problem document of an error of ours; a `field` among its facts is a member of its own."""
    facts = dict(error.facts)
    field = facts.pop("field", None)
    extra: dict[str, object] = {} if field is None else {"field": field}
    if facts:
        extra["facts"] = facts
    extra |= error.members
    response = problem(
        error.status,
        detail=error.message,
        code=error.code,
        title=error.title,
        resolution=error.advice,
        extra=extra,
    )
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return with_headers(response, error.headers)


def with_headers(response: Sent, headers: Mapping[str, str]) -> Sent:
    """Return the response with further headers."""
    for name, value in headers.items():
        response[name] = value
    return response


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Answer an exception raised in an API view (REST framework's hook); None lets an unknown one become a 500."""
    del context
    match error:
        case LatentMASError():
            return problem_for(error)
        case Http404():
            return problem(404, detail="there is nothing at this address")
        case PermissionDenied():
            return problem(403, detail="this is not allowed")
        case ValidationError():
            return _invalid(error)
        case ParseError():
            return problem(400, detail=str(error.detail))
        case APIException():
            return _of_framework(error)
    return None


class ProblemOutput(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    resolution = serializers.CharField(required=False)
    field = serializers.CharField(required=False)
    facts = serializers.DictField(required=False)
    x402Version = serializers.IntegerField(  # noqa: N815 - x402's own name
        required=False, help_text="Of a 402 that x402 can pay, as the members below: its PaymentRequired."
    )
    resource = serializers.DictField(required=False, help_text="What is paid for, to x402.")
    accepts = serializers.ListField(
        child=serializers.DictField(), required=False, help_text="The payments that would do, as x402 writes them."
    )
    request_id = serializers.CharField(required=False, help_text="Of a failure on this side: quote it to the operator.")


class LenientNegotiation(DefaultContentNegotiation):
    """Answer in the view's first format where the client accepts none of them: a 406 would hide the real answer."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer and its media type."""
        known = list(renderers)
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, known, format_suffix)
        except NotAcceptable:
            return known[0], known[0].media_type
        return chosen


def _invalid(error: ValidationError) -> HttpResponse:
    """Return 422 with the first invalid field in `field` and `detail`, and all of them in `errors`."""
    errors = [{"field": field, "detail": detail} for field, detail in _flatten(error.detail)]
    first = errors[0]
    extra = {"errors": errors} | ({"field": first["field"]} if first["field"] else {})
    return problem(422, detail=first["detail"], title="Invalid input", extra=extra)


def _flatten(detail: object, path: str = "") -> list[tuple[str, str]]:
    if isinstance(detail, Mapping):
        pairs = [(f"{path}.{name}" if path else str(name), inner) for name, inner in detail.items()]
        return [found for name, inner in pairs for found in _flatten(inner, "" if name == "non_field_errors" else name)]
    if isinstance(detail, list | tuple):
        return [found for inner in detail for found in _flatten(inner, path)]
    return [(path, str(detail))]


def _of_framework(error: APIException) -> HttpResponse:
    response = problem(error.status_code, detail=str(error.detail))
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(math.ceil(wait))
    return response
