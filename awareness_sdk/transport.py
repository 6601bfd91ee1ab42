"""HTTP requests to one server, with failures raised as AwarenessError."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import httpx

from awareness_sdk.errors import ServerUnreachable, error_of

SAFETENSORS = "application/vnd.safetensors"
JSON = "application/json"


class Transport:
    """Sends requests to one server with one API key."""

    def __init__(self, *, base_url: str, api_key: str | None, timeout: float) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=timeout)

    def json(self, method: str, path: str, *, body: object = None, params: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON answer. Raises AwarenessError."""
        return self.send(method, path, body=body, params=params).json()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content: bytes | BinaryIO | None = None,
        params: Mapping[str, Any] | None = None,
        accept: str = JSON,
    ) -> httpx.Response:
        """Send JSON (`body`) or a safetensors file (`content`) and return the answer. Raises AwarenessError.

        An open file is sent as it is read.
        """
        headers = {"Accept": accept} | ({} if content is None else {"Content-Type": SAFETENSORS})
        with _reaching(path):
            response = self._client.request(method, path, json=body, content=content, params=params, headers=headers)
        _require_success(response)
        return response

    @contextmanager
    def stream(self, path: str) -> Iterator[httpx.Response]:
        """Open a GET whose body the caller reads as a stream. Raises AwarenessError."""
        with _reaching(path), self._client.stream("GET", path) as response:
            if not response.is_success:
                response.read()
            _require_success(response)
            yield response

    def close(self) -> None:
        self._client.close()


@contextmanager
def _reaching(path: str) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        raise ServerUnreachable({"code": "TIMEOUT", "detail": f"no answer from {path} in time"}) from error
    except httpx.TransportError as error:
        raise ServerUnreachable({"code": "UNREACHABLE", "detail": f"{path} could not be reached: {error}"}) from error


def _require_success(response: httpx.Response) -> None:
    if response.is_success:
        return
    try:
        problem = response.json()
    except ValueError:  # a proxy's page
        problem = {}
    raise error_of(response.status_code, problem if isinstance(problem, dict) else {})
