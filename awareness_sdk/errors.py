"""Exceptions of the client: the server's problem documents (RFC 9457), and a server that cannot be reached."""

from collections.abc import Mapping
from typing import Any


class AwarenessError(Exception):
    """A request failed. `code` is the protocol's and never changes; `resolution` says what to do, where that is known.

    `field` names the parameter at fault; `facts` holds machine-readable details. Of a failure on the server's side
    `request_id` is what its operator finds it by.
    """

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.status: int | None = problem.get("status")
        self.code: str = problem.get("code", "ERROR")
        self.detail: str = problem.get("detail", "the request failed")
        self.resolution: str = problem.get("resolution", "")
        self.field: str | None = problem.get("field")
        self.facts: Mapping[str, Any] = problem.get("facts", {})
        self.request_id: str | None = problem.get("request_id")
        where = f"{self.field}: " if self.field else ""
        super().__init__(f"[{self.code}] {where}{self.detail}" + (f" {self.resolution}" if self.resolution else ""))


class ServerUnreachable(AwarenessError):
    """No answer came: the address is wrong, the server is down, or it took longer than the timeout."""


class NotAuthenticated(AwarenessError):
    """401: the API key is missing, unknown, expired or revoked."""


class PermissionDenied(AwarenessError):
    """403: the API key lacks the scope."""


class NotFound(AwarenessError):
    """404: what was asked for does not exist."""


class Conflict(AwarenessError):
    """409, or 412 where something changed meanwhile."""


class TooLarge(AwarenessError):
    """413: the request or its result is larger than the server's limit."""


class InvalidRequest(AwarenessError):
    """400, 411, 415 or 422: `field` names what is wrong where one parameter is."""


class ServerFailed(AwarenessError):
    """5xx: the server failed."""


BY_STATUS: Mapping[int, type[AwarenessError]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    411: InvalidRequest,
    412: Conflict,
    413: TooLarge,
    415: InvalidRequest,
    422: InvalidRequest,
}


def error_of(status: int, problem: Mapping[str, Any]) -> AwarenessError:
    """Return the exception for a response with an error status and its problem document."""
    kind = BY_STATUS.get(status, ServerFailed if status >= 500 else AwarenessError)
    return kind({"status": status, "detail": f"the server answered {status}", **problem})
