"""Answer add-checkpoint over HTTP (C2SP tlog-witness)."""

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from awareness_sdk.witness.cosigning import Reply, Witness

MAX_REQUEST_BYTES = 64 * 1024
SECONDS = 10  # for which a connection may stay silent


def server(witness: Witness, *, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that answers `POST /add-checkpoint`; put TLS in front of it."""

    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS

        def do_POST(self) -> None:
            reply = self._reply()
            body = reply.body.encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _reply(self) -> Reply:
            if self.path != "/add-checkpoint":
                return Reply(HTTPStatus.NOT_FOUND, "there is POST /add-checkpoint\n")
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal():
                return Reply(HTTPStatus.LENGTH_REQUIRED, "the body needs a Content-Length\n")
            if int(length) > MAX_REQUEST_BYTES:
                return Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_REQUEST_BYTES} bytes\n")
            try:
                return witness.add_checkpoint(self.rfile.read(int(length)).decode())
            except UnicodeDecodeError:
                return Reply(HTTPStatus.BAD_REQUEST, "the body is not UTF-8\n")

    return ThreadingHTTPServer((host, port), Handler)
