"""Conditional changes (RFC 9110): an `ETag` is a version, and a change says by `If-Match` which one it has seen."""

import re

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.protocol.errors import InvalidInput, LatentMASError

IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="Its ETag as last seen.",
)
VERSION_TAG = re.compile(r'"(\d{1,9})"', re.ASCII)


class PreconditionRequired(LatentMASError):
    """The change would overwrite what somebody else may have changed meanwhile."""

    code = "PRECONDITION_REQUIRED"
    status = 428
    title = "If-Match is required"
    resolution = "Read the resource, and send its ETag as If-Match."


def expected_version(request: Request) -> int:
    """Return the version that a change has seen. Raises PreconditionRequired or InvalidInput."""
    given = request.headers.get("If-Match")
    if given is None:
        raise PreconditionRequired("a change of what exists needs If-Match")
    match = VERSION_TAG.fullmatch(given.strip())
    if match is None:
        raise InvalidInput(f'If-Match is {given[:60]!r}; send one ETag of this resource, such as "3"', field="If-Match")
    return int(match[1])


def versioned(response: Response, version: int) -> Response:
    """Return the response with the version as its ETag."""
    response["ETag"] = f'"{version}"'
    return response
