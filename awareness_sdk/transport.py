"""HTTP requests to one server, with failures raised as AwarenessError."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import httpx

from awareness_sdk.errors import AwarenessError, ServerFailed, ServerUnreachable, error_of

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
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send JSON (`body`) or a safetensors file (`content`) and return the answer. Raises AwarenessError.

        An open file is sent as it is read.
        """
        sent = {"Accept": accept} | ({} if content is None else {"Content-Type": SAFETENSORS}) | dict(headers or {})
        with _reaching(path):
            response = self._client.request(method, path, json=body, content=content, params=params, headers=sent)
        _require_success(response)
        return response

    @contextmanager
    def file(self, path: str, *, digest: str | None = None) -> Iterator[Iterator[bytes]]:
        """Open a file and yield its bytes in pieces. Raises AwarenessError, at the end if they have another digest.

        The digest is the one given, or else the one that the server names. The bytes may come from a storage elsewhere,
        which never sees the API key: httpx leaves it out of a redirect to another host.
        """
        with _reaching(path), self._client.stream("GET", path, follow_redirects=True) as response:
            if not response.is_success:
                response.read()
            _require_success(response)
            yield _checked(response, digest or _named_digest(response))

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


def _named_digest(response: httpx.Response) -> str:
    """Return the digest of the file (RFC 9530) that our own server named, be it in its redirect."""
    header = (response.history or [response])[0].headers["Repr-Digest"]
    return f"sha256:{base64.b64decode(header.removeprefix('sha-256=:').removesuffix(':')).hex()}"


def _checked(response: httpx.Response, digest: str) -> Iterator[bytes]:
    sha256 = hashlib.sha256()
    for piece in response.iter_bytes():
        sha256.update(piece)
        yield piece
    if sha256.hexdigest() != digest.removeprefix("sha256:"):
        raise AwarenessError({"code": "WRONG_DIGEST", "detail": f"what came is not {digest}"})


def _require_success(response: httpx.Response) -> None:
    if response.is_success:
        return
    if response.history:  # the storage's own page is no problem document, and its status says nothing of our key
        detail = f"{response.url.host} answered {response.status_code} in place of the file"
        raise ServerFailed({"status": response.status_code, "code": "STORAGE_UNAVAILABLE", "detail": detail})
    try:
        problem = response.json()
    except ValueError:  # a proxy's page
        problem = {}
    raise error_of(response.status_code, problem if isinstance(problem, dict) else {})
