"""`client.log`: what a server's log proves, for `awareness_sdk.verify` and `awareness_sdk.receipts`."""

from typing import Any

from awareness_sdk.transport import Transport

BASE = "/api/log"


class LogClient:
    """`client.log`. Needs no API key. Every call raises AwarenessError with the server's code."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def keys(self) -> dict[str, Any]:
        """Return the keys that have signed; keep your own copy of them."""
        return dict(self._transport.json("GET", f"{BASE}/keys"))

    def proof(self, position: int) -> dict[str, Any]:
        """Return the proof that the event at a position is in the log; NOT_SEALED while no checkpoint covers it."""
        return dict(self._transport.json("GET", f"{BASE}/proof", params={"position": position}))
