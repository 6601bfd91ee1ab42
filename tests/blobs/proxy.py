"""A proxy in front of S3 that fails as networks and servers do."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
PIECE = 1 << 16


class Proxy:
    """Passes connections on to a server. From the moment when so many bytes came from the client, or from the server,
    it cuts every connection; with `broken` it answers each request with 500. `heard` keeps what clients have sent.
    """

    def __init__(
        self, server: str, *, cut_sent: int | None = None, cut_received: int | None = None, broken: bool = False
    ) -> None:
        self.server = urlsplit(server)
        self.limits = {"sent": cut_sent, "received": cut_received}
        self.passed = {"sent": 0, "received": 0}
        self.broken = broken
        self.heard = bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.listener.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self.broken:
            self.heard += client.recv(PIECE)
            client.sendall(ERROR)
            client.close()
            return
        server = socket.create_connection((self.server.hostname, self.server.port))
        back = threading.Thread(target=self._pump, args=(server, client, "received"), daemon=True)
        back.start()
        self._pump(client, server, "sent")

    def _pump(self, source: socket.socket, target: socket.socket, way: str) -> None:
        limit = self.limits[way]
        try:
            while piece := source.recv(PIECE):
                self.passed[way] += len(piece)
                if limit is not None and self.passed[way] > limit:
                    break
                if way == "sent":
                    self.heard += piece
                target.sendall(piece)
        except OSError:  # the other direction was cut
            pass
        for each in (source, target):
            with suppress(OSError):  # the other direction was quicker
                each.shutdown(socket.SHUT_RDWR)
