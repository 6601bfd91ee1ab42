"""Decorators of API views, with their OpenAPI description: public reads, and computations that require a scope."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import api_view, parser_classes, permission_classes, renderer_classes
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer, JSONRenderer

from latentmas.rest.answers import CONTENT_TYPE, SafetensorsRenderer
from latentmas.rest.permissions import ComputeKVCaches
from latentmas.rest.problems import ProblemOutput
from latentmas.rest.uploads import BoundedJSONParser, BytesParser, SafetensorsParser

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

KEYS = OpenApiParameter(
    "keys", OpenApiTypes.STR, enum=["camel"], description="Answer with phase 1's camelCase keys, the metrics' too."
)
# The ways to authenticate at an address that needs no account, where its permission does not show that.
ANYBODY: Any = [{"token": []}, {"cookieAuth": []}, {}]
PROBLEM = {(400, "application/problem+json"): ProblemOutput}


def problems(*statuses: int) -> dict[Any, Any]:
    """Return the problems of a route's own; `latentmas.rest.schema` adds those that follow from what it takes."""
    return {(status, "application/problem+json"): ProblemOutput for status in statuses}


# What `send_file` answers.
FILE: dict[Any, Any] = {
    (200, CONTENT_TYPE): OpenApiTypes.BINARY,
    (206, CONTENT_TYPE): OpenApiTypes.BINARY,
    302: OpenApiResponse(description="`Location` is where the storage serves the file, for a while."),
    **PROBLEM,
}


def reading(
    operation: str, *, answer: Any, query: Any = None, camel: bool = False, statuses: Sequence[int] = ()
) -> Callable[[View], Any]:
    """Decorate a view as a GET that needs no account. `camel`: its answers can have phase 1's camelCase keys.

    `statuses` are those of problems of its own.
    """
    described = extend_schema(
        operation_id=operation,
        parameters=[*([query] if query else []), *([KEYS] if camel else [])],
        responses={200: answer, **problems(400, *statuses)},
    )
    return lambda view: described(api_view(["GET"])(permission_classes([AllowAny])(view)))


def computing(
    operation: str,
    *,
    json: Any,
    answer: Any,
    query: Any = None,
    headers: Sequence[OpenApiParameter] = (),
    method: str = "POST",
    status: int = 200,
    files: bool = True,
    renderers: tuple[type[BaseRenderer], ...] = (JSONRenderer,),
) -> Callable[[View], Any]:
    """Decorate a view that needs the scope `kv-cache:compute`. `files`: it takes files, parameters in the query."""
    request = {"application/json": json} if json is not None else {}
    responses: dict[Any, Any] = {status: answer, **PROBLEM}
    if files:
        request[CONTENT_TYPE] = OpenApiTypes.BINARY
    if SafetensorsRenderer in renderers:
        responses[(status, CONTENT_TYPE)] = OpenApiTypes.BINARY
    described = extend_schema(
        operation_id=operation,
        parameters=[*([query] if query else []), KEYS, *headers],
        request=request or None,
        responses=responses,
    )
    parsers = [BoundedJSONParser, *((SafetensorsParser, BytesParser) if files else ())]

    def decorate(view: View) -> Any:
        limited = permission_classes([ComputeKVCaches])(parser_classes(parsers)(renderer_classes(renderers)(view)))
        return described(api_view([method])(limited))

    return decorate
