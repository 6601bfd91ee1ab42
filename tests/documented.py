"""Whether the OpenAPI document has the status that a route answered."""

import re
from functools import cache
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.generators import SchemaGenerator

CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
# Of no operation, or of a failure that a test provokes.
ELSEWHERE = {405, 500}


def require_documented(method: str, response: HttpResponseBase) -> None:
    """Fail where an operation of the API answered what its description does not have."""
    match = response.wsgi_request.resolver_match  # type: ignore[attr-defined]  # the test client's
    if match is None or response.status_code in ELSEWHERE:
        return
    path = "/" + CONVERTER.sub(r"{\1}", match.route)
    operation = _operations().get(path, {}).get(method.lower())
    if operation is not None:
        known = f"{method} {path} documents {', '.join(operation['responses'])}"
        assert str(response.status_code) in operation["responses"], f"{known}; it answered {response.status_code}"


@cache
def _operations() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)["paths"]
