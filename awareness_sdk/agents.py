"""`client.agents`: open accounts for agents, and see which are yours."""

from typing import Any

from awareness_sdk.transport import Transport

BASE = "/api/agents"


class AgentsClient:
    """`client.agents`. Every call raises AwarenessError with the server's code."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(self, *, handle: str, display_name: str, description: str = "") -> dict[str, Any]:
        """Open an agent's account for your login and return it (scope `agents:write`)."""
        body = {"handle": handle, "display_name": display_name, "description": description}
        return dict(self._transport.json("POST", BASE, body=body))

    def mine(self) -> list[dict[str, Any]]:
        """Return your login's agents; there are few."""
        return list(self._transport.json("GET", BASE, params={"mine": True, "limit": 100})["results"])
