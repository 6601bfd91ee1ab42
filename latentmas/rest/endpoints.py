"""Decorators of API views, with their OpenAPI description: public reads, and computations that require a scope."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.http import HttpResponseBase
from django.views.decorators.http import conditional_page
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import api_view, parser_classes, permission_classes, renderer_classes
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer, JSONRenderer

from latentmas.rest.answers import CONTENT_TYPE
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


def example(value: dict[str, Any]) -> list[OpenApiExample]:
    """Return a JSON body as the example of an operation; a test sends each as it stands."""
    return [OpenApiExample("example", value, request_only=True, media_type="application/json")]


NOT_MODIFIED = {304: OpenApiResponse(description="It still has the ETag that `If-None-Match` names.")}
# What `send_file` answers.
FILE: dict[Any, Any] = {
    (200, CONTENT_TYPE): OpenApiTypes.BINARY,
    (206, CONTENT_TYPE): OpenApiTypes.BINARY,
    302: OpenApiResponse(description="`Location` is where the storage serves the file, for a while."),
    **NOT_MODIFIED,
    **problems(400, 416, 503, 507),
}


def reading(
    operation: str,
    *,
    answer: Any,
    query: Any = None,
    camel: bool = False,
    conditional: bool = False,
    statuses: Sequence[int] = (),
) -> Callable[[View], Any]:
    """Decorate a view as a GET that needs no account. `camel`: its answers can have phase 1's camelCase keys.

    `conditional`: they have an ETag by their content. `statuses` are those of problems of its own.
    """
    described = extend_schema(
        operation_id=operation,
        parameters=[*([query] if query else []), *([KEYS] if camel else [])],
        responses={200: answer, **(NOT_MODIFIED if conditional else {}), **problems(400, *statuses)},
    )

    def decorate(view: View) -> Any:
        decorated = described(api_view(["GET"])(permission_classes([AllowAny])(view)))
        return conditional_page(decorated) if conditional else decorated

    return decorate


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
    statuses: Sequence[int] = (),
) -> Callable[[View], Any]:
    """Decorate a view that needs the scope `kv-cache:compute`. `files`: it takes files, parameters in the query.

    `statuses` are those of problems of its own.
    """
    request = {"application/json": json} if json is not None else {}
    # 413 without a body, too: an answer can be too large for JSON.
    responses: dict[Any, Any] = {status: answer, **problems(400, 413, 507, *statuses)}
    if files:
        request[CONTENT_TYPE] = OpenApiTypes.BINARY
    for each in renderers:
        if each is not JSONRenderer:
            responses[(status, str(each.media_type))] = OpenApiTypes.BINARY
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
