"""HTTP requests to one server, with failures raised as AwarenessError, and prices paid where somebody pays."""

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from awareness_sdk.errors import AwarenessError, ServerFailed, ServerUnreachable, error_of
from awareness_sdk.paying import Payer

SAFETENSORS = "application/vnd.safetensors"
JSON = "application/json"
PAYMENT_REQUIRED, PAYMENT_UNSETTLED = 402, "PAYMENT_UNSETTLED"
SIGNATURE, REQUIRED, RESPONSE = "PAYMENT-SIGNATURE", "PAYMENT-REQUIRED", "PAYMENT-RESPONSE"  # x402's headers


class Transport:
    """Sends requests to one server with one API key. A `payer` pays the prices that they meet."""

    def __init__(self, *, base_url: str, api_key: str | None, timeout: float, payer: Payer | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=timeout)
        self._payer = payer
        self._unsettled: dict[tuple[str, str], str] = {}  # payments of which it is not known yet whether they were made

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
            request = self._client.build_request(
                method, path, json=body, content=content, params=params, headers=self._with_payment(method, path, sent)
            )
            response = self._client.send(request)
            if (signature := self._signed(response)) is not None:
                request.headers[SIGNATURE] = signature
                response = self._client.send(request)
        self._note(method, path, response)
        _require_success(response)
        return response

    def change(self, method: str, address: str, part: str = "", *, body: object = None) -> dict[str, Any]:
        """Change what is at an address as it stands now, and return the answer.

        A change by somebody else that comes in between is an error (412), not overwritten. Raises AwarenessError.
        """
        seen = self.send("GET", address).headers["ETag"]
        return dict(self.send(method, f"{address}{part}", body=body, headers={"If-Match": seen}).json())

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the results of a list, page after page. Raises AwarenessError."""
        cursor = None
        while True:
            page = self.json("GET", path, params={**params} | ({"cursor": cursor} if cursor else {}))
            yield from page["results"]
            if (cursor := page["next_cursor"]) is None:
                return

    def download(self, path: str, target: str | os.PathLike[str], *, digest: str | None = None) -> Path:
        """Write a file to a path, which is returned. Raises as `file` does."""
        written = Path(target)
        with self.file(path, digest=digest) as pieces, written.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        return written

    @contextmanager
    def file(self, path: str, *, digest: str | None = None) -> Iterator[Iterator[bytes]]:
        """Open a file and yield its bytes in pieces. Raises AwarenessError, at the end if they have another digest.

        The digest is the one given, or else the one that the server names. The bytes may come from a storage elsewhere,
        which never sees the API key: httpx leaves it out of a redirect to another host.
        """
        with _reaching(path), self._opened(path) as response:
            if not response.is_success:
                response.read()
            self._note("GET", path, response)
            _require_success(response)
            yield _checked(response, digest or _named_digest(response))

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _opened(self, path: str) -> Iterator[httpx.Response]:
        """Yield the answer to a GET that is read piece by piece, paid for where it asks for a payment."""
        sent = self._with_payment("GET", path, {})
        with self._client.stream("GET", path, follow_redirects=True, headers=sent) as response:
            signature = self._signed(response)
            if signature is None:
                yield response
                return
        with self._client.stream("GET", path, follow_redirects=True, headers={SIGNATURE: signature}) as response:
            yield response

    def _signed(self, response: httpx.Response) -> str | None:
        """Return the payment that an answer asks for; None where it asks for none, was paid, or nobody pays."""
        required = response.headers.get(REQUIRED)
        if self._payer is None or response.status_code != PAYMENT_REQUIRED or required is None:
            return None
        return None if SIGNATURE in response.request.headers else self._payer.sign(required)

    def _with_payment(self, method: str, path: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers with the payment that this request brought before, if that is not settled yet.

        A second payment in its place could be made beside it.
        """
        payment = self._unsettled.get((method, path))
        return {**headers} | ({} if payment is None else {SIGNATURE: payment})

    def _note(self, method: str, path: str, response: httpx.Response) -> None:
        """Remember a payment that is not settled yet, and tell the payer of one that is."""
        if self._payer is None:
            return
        payment = response.request.headers.get(SIGNATURE)
        if payment is not None and _code_in(response) == PAYMENT_UNSETTLED:
            self._unsettled[(method, path)] = payment
        else:
            self._unsettled.pop((method, path), None)
        if (settled := response.headers.get(RESPONSE)) is not None:
            self._payer.settled(settled)


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
    raise error_of(response.status_code, _problem_in(response))


def _problem_in(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:  # a proxy's page
        return {}
    return problem if isinstance(problem, dict) else {}


def _code_in(response: httpx.Response) -> str | None:
    return None if response.is_success else _problem_in(response).get("code")
