"""Answer add-checkpoint over HTTP (C2SP tlog-witness)."""

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from awareness_sdk.witness.cosigning import Reply, Witness

MAX_REQUEST_BYTES = 64 * 1024
SECONDS = 10  # for which a connection may stay silent


def server(witness: Witness, *, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that answers `POST /add-checkpoint`; put TLS in front of it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections
        timeout = SECONDS

        def do_POST(self) -> None:
            reply = self._reply()
            body = reply.body.encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def _reply(self) -> Reply:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal():
                return self._unread(HTTPStatus.LENGTH_REQUIRED, "the body needs a Content-Length\n")
            if int(length) > MAX_REQUEST_BYTES:
                return self._unread(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_REQUEST_BYTES} bytes\n")
            body = self.rfile.read(int(length))
            if self.path != "/add-checkpoint":
                return Reply(HTTPStatus.NOT_FOUND, "there is POST /add-checkpoint\n")
            try:
                return witness.add_checkpoint(body.decode())
            except UnicodeDecodeError:
                return Reply(HTTPStatus.BAD_REQUEST, "the body is not UTF-8\n")

        def _unread(self, status: HTTPStatus, text: str) -> Reply:
            """Refuse a body that is not read; what follows on the connection would be taken for a request."""
            self.close_connection = True
            return Reply(status, text)

    return ThreadingHTTPServer((host, port), Handler)
