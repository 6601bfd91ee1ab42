"""An HTTPS server on this machine that passes for any host on the internet: the only way past the checks.

Names resolve to `resolves_to`, and a connection to whatever address goes to the server; the client trusts its
authority's certificates. None of this can be had by a setting.
"""

import datetime as dt
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpcore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from latentmas.outbound import Network

PUBLIC = "8.8.8.8"
HOSTS = ("publisher.example", "hooks.example", "api.stripe.com", "facilitator.example")


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Remote:
    """What the server is to answer, and what it was asked; `respond` may write to the connection itself."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    respond: Callable[[BaseHTTPRequestHandler], None] | None = None
    resolves_to: list[str] = field(default_factory=lambda: [PUBLIC])
    asked: list[Asked] = field(default_factory=list)
    connected_to: list[tuple[str, int]] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    port: int = 0
    authority: Path = Path()

    def network(self) -> Network:
        return Network(self._resolve, self._connect, lambda: ssl.create_default_context(cafile=str(self.authority)))

    def _resolve(self, host: str) -> list[str]:
        self.resolved.append(host)
        return self.resolves_to

    def _connect(self, address: str, port: int, seconds: float) -> httpcore.NetworkStream:
        self.connected_to.append((address, port))
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", self.port, timeout=seconds)


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that hung up, as some tests want it to."""


@contextmanager
def serving(folder: Path) -> Iterator[Remote]:
    remote = Remote(authority=folder / "authority.pem")
    server = Server(("127.0.0.1", 0), _handler(remote))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder, remote.authority))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    remote.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield remote
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(remote: Remote) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            remote.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            if remote.respond is not None:
                remote.respond(self)
                return
            self.send_response(remote.status)
            for name, value in remote.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(remote.body)))
            self.end_headers()
            self.wfile.write(remote.body)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def _certificate(folder: Path, authority: Path) -> Path:
    """Write a self-signed certificate for the hosts, and return the file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    authority.write_bytes(pem)
    both = folder / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(secret + pem)
    return both
