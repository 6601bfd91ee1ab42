"""The API's documentation page, and the metrics in Prometheus' text format."""

from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from latentmas.metrics import exposition
from latentmas.protocol.errors import LatentMASError
from latentmas.rest.problems import HTTP_CODES

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class ErrorCode:
    code: str
    status: int
    title: str
    resolution: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    path: str
    description: str


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the addresses and error codes on one page that loads nothing from elsewhere."""
    return render(request, "api_docs.html", {"endpoints": endpoints(), "codes": error_codes()})


@cache
def endpoints() -> list[Endpoint]:
    """Return every operation of the OpenAPI document, by path; cached, since generating it takes a moment."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    paths = generator.get_schema(request=None, public=True)["paths"]  # type: ignore[no-untyped-call]
    return [
        Endpoint(method.upper(), path, operations[method].get("description", ""))
        for path, operations in sorted(paths.items())
        for method in METHODS
        if method in operations
    ]


def error_codes() -> list[ErrorCode]:
    """Return every code that a problem document can carry, by name; one with two statuses twice."""
    ours = {
        (cls.code, cls.status): ErrorCode(cls.code, cls.status, cls.title, cls.resolution)
        for cls in _subclasses(LatentMASError)
    }
    plain = {
        (code, status): ErrorCode(code, status, HTTPStatus(status).phrase, "") for status, code in HTTP_CODES.items()
    }
    return [each for _, each in sorted((plain | ours).items())]


def _subclasses(cls: type[LatentMASError]) -> set[type[LatentMASError]]:
    return {each for child in cls.__subclasses__() for each in {child} | _subclasses(child)}


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return every registered figure; like the statistics, it needs no account and names nobody."""
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
