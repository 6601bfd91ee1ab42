"""The problems that an operation of the OpenAPI document can answer by its form; a view declares only its own."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

Json = dict[str, Any]

CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOutput"}}}
WAIT = ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
METHODS = {"get", "post", "put", "patch", "delete"}
NO_ACCOUNT: Json = {}  # among the ways to authenticate


def with_problems(result: Json, **_: object) -> Json:
    """Document every status that follows from what an operation takes, where its view does not do so itself."""
    for path in result["paths"].values():
        for method in METHODS & path.keys():
            responses = path[method]["responses"]
            for status in sorted(set(_statuses(method, path[method]))):
                responses.setdefault(str(status), _problem(status))
    return result


def _statuses(method: str, operation: Json) -> Iterator[int]:
    security = operation.get("security", [])
    headers = {each["name"] for each in operation.get("parameters", []) if each["in"] == "header"}
    others = [each for each in operation.get("parameters", []) if each["in"] != "header"]
    yield from (400, 422, 429)
    if security != [NO_ACCOUNT]:
        yield 401  # a wrong token is refused where none is needed, too
        if method != "get" or NO_ACCOUNT not in security:
            yield 403
    if others:
        yield 404
    if method != "get":
        yield from (409, 503)
    if "requestBody" in operation:
        yield from (411, 413, 415)
    if "If-Match" in headers:
        yield from (412, 428)


def _problem(status: int) -> Json:
    document: Json = {"description": HTTPStatus(status).phrase, "content": CONTENT}
    if status == 429:
        document["headers"] = {name: {"schema": {"type": "integer"}} for name in WAIT}
    return document
