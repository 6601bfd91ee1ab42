"""The one client for addresses that users have named: publishers' domains, webhooks, and other registries' feeds.

A name is resolved once, every address it has is checked, and the connection goes to a checked one: a second resolution
could lead elsewhere. The certificate is still checked for the name. There is no plain HTTP, no other port, no redirect,
no proxy from the environment, and a bound on the answer's size and on the time of everything after the resolution.
"""

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from latentmas.protocol.errors import LatentMASError, StorageUnavailable

PORT = 443
MAX_URL = 2000  # characters
MAX_ANSWER_BYTES = 64 * 1024
SECONDS = 10.0
HTTP_OK = 200
USER_AGENT = "LatentMAS/2.0"
# A name with dots whose last part is no number: inet_aton takes 127.1 and 0x7f000001 for addresses.
HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
# Mapped addresses and those of NAT64 lie outside it; each leads to an IPv4 address that could be anything.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in (
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "192.88.99.0/24",  # relays of 6to4
        "3fff::/20",  # documentation, too recent for `is_global`
    )
]


class AddressRefused(LatentMASError):
    """The address is not one that this server calls."""

    code = "ADDRESS_REFUSED"
    status = 422
    title = "This address is not called"
    resolution = "Give an https address on port 443 whose name leads to public addresses only."


class RemoteFailed(LatentMASError):
    """The other side did not answer as it should."""

    code = "REMOTE_FAILED"
    status = 502
    title = "The other side failed"
    resolution = "See that it answers over HTTPS with a valid certificate, without a redirect, and soon."


@dataclass(frozen=True, slots=True)
class Network:
    """How names become addresses and addresses connections; tests bring their own."""

    resolve: Callable[[str], Sequence[str]]
    connect: Callable[[str, int, float], httpcore.NetworkStream]  # address, port, seconds
    tls: Callable[[], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    network: Network | None = None,
) -> Answer:
    """Return what the address answers, whatever its status. Raises AddressRefused or RemoteFailed."""
    answer = bytearray()
    with _asked(method, url, headers=headers or {}, body=body, seconds=SECONDS, network=network) as response:
        for chunk in _chunks(response, MAX_ANSWER_BYTES):
            answer += chunk
        return Answer(response.status, bytes(answer))


def fetch(
    url: str, take: Callable[[bytes], object], *, max_bytes: int, seconds: float, network: Network | None = None
) -> None:
    """Give what lies at an address to `take`, piece by piece.

    Raises AddressRefused, RemoteFailed, or StorageUnavailable where a piece cannot be written.
    """
    with _asked("GET", url, headers={}, body=b"", seconds=seconds, network=network) as response:
        if response.status != HTTP_OK:
            raise RemoteFailed(f"the answer has the status {response.status}", url=url)
        for chunk in _chunks(response, max_bytes):
            try:
                take(chunk)
            except OSError as error:  # else it would pass for a failure of the other side
                raise StorageUnavailable(f"what was fetched could not be kept: {error.strerror}") from error


def checked_url(url: str) -> httpx.URL:
    """Return an https address of a name, on port 443 and without a password. Raises AddressRefused."""
    try:
        parsed = httpx.URL(url) if len(url) <= MAX_URL else None
    except (httpx.InvalidURL, ValueError):
        parsed = None
    if parsed is None:
        raise AddressRefused("this is no address; write https://name/path", url=url[:200])
    if parsed.scheme != "https" or parsed.port not in (None, PORT) or parsed.userinfo:
        raise AddressRefused("only https on port 443, without a password, is called", url=url[:200])
    if HOST.fullmatch(host_of(parsed)) is None:
        raise AddressRefused(f"{parsed.host!r} is not the name of a host on the internet", url=url[:200])
    return parsed


def host_of(url: httpx.URL) -> str:
    """Return the host in ASCII, as the name system, the certificate and the header have it."""
    return url.raw_host.decode("ascii")


def is_public(address: str) -> bool:
    """Return whether an address, of either family, belongs to a host on the internet."""
    ip = ipaddress.ip_address(address)
    if any(ip in network for network in NOT_PUBLIC if network.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast and (ip.version == 4 or ip in GLOBAL_UNICAST)


def _checked_address(host: str, resolve: Callable[[str], Sequence[str]]) -> str:
    """Return the first address of a name, every one of which is public. Raises AddressRefused or RemoteFailed."""
    try:
        addresses = resolve(host)
    except (OSError, UnicodeError) as error:
        raise RemoteFailed(f"the name {host!r} has no address") from error
    if not addresses:
        raise RemoteFailed(f"the name {host!r} has no address")
    if not all(map(is_public, addresses)):
        # Which one is not said: nobody is to learn from here what lies in this network.
        raise AddressRefused(f"{host!r} leads to an address that is not public")
    return addresses[0]


@contextmanager
def _asked(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes, seconds: float, network: Network | None
) -> Iterator[httpcore.Response]:
    network = network or INTERNET
    target = checked_url(url)
    host = host_of(target)
    address = _checked_address(host, network.resolve)
    sent = {"Host": host, "User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
    # The name goes into SNI and Host, and is what the certificate must be for.
    backend = _Pinned(network.connect, address, time.monotonic() + seconds)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=network.tls(), network_backend=backend) as pool,
            pool.stream(method, str(target), headers=list(sent.items()), content=body) as response,
        ):
            yield response
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise RemoteFailed(f"{host} did not answer within {seconds:.0f} seconds") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
        raise RemoteFailed(f"{host} could not be asked: {type(error).__name__}") from error


def _chunks(response: httpcore.Response, limit: int) -> Iterator[bytes]:
    size = 0
    for chunk in response.iter_stream():
        size += len(chunk)
        if size > limit:
            raise RemoteFailed(f"the answer has more than {limit} bytes")
        yield chunk


class _Pinned(httpcore.NetworkBackend):
    """Connects to one address, whatever the name, and bounds the time of all that happens on the connection."""

    def __init__(self, connect: Callable[[str, int, float], httpcore.NetworkStream], address: str, deadline: float):
        self._connect, self._address, self._deadline = connect, address, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        del host, timeout, local_address, socket_options
        return _Bounded(self._connect(self._address, port, _left(self._deadline)), self._deadline)


class _Bounded(httpcore.NetworkStream):
    """Gives every operation the time that is left: a server that sends a byte now and then gains nothing by it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=_left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout=_left(self._deadline))
        return _Bounded(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is up")
    return left


def _resolve(host: str) -> list[str]:
    return [str(each[4][0]) for each in socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)]


def _connect(address: str, port: int, seconds: float) -> httpcore.NetworkStream:
    return httpcore.SyncBackend().connect_tcp(address, port, timeout=seconds)


INTERNET = Network(_resolve, _connect, httpx.create_ssl_context)
