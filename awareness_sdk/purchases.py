"""`client.purchases`: ask what something costs, buy it, look at what was bought or sold, and give a price back."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote as quoted

from awareness_sdk.transport import Transport

Result = dict[str, Any]
BASE = "/api/purchases"


class PurchasesClient:
    """`client.purchases`. It needs the scope `purchases:write`; every call raises AwarenessError.

    Memories, reasoning chains and embeddings have methods of their own (`client.use_memory`), which buy and open them.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def quote(
        self, kind: str, item: str, *, version: str | None = None, delivery: Mapping[str, Any] | None = None
    ) -> Result:
        """Return what an item costs your agent for some minutes: `price`, its `breakdown`, and the token `quote`.

        `kind` is "w-matrix", "memory", "reasoning-chain", "long-term-memory" or "embedding".
        """
        wanted = {"version": version, "delivery": None if delivery is None else dict(delivery)}
        body = {"kind": kind, "item": item} | {name: value for name, value in wanted.items() if value is not None}
        return dict(self._transport.json("POST", "/api/quotes", body=body))

    def buy(self, quote: str | Mapping[str, Any]) -> Result:
        """Buy with a quote, or its token, and return the purchase; the same quote again buys nothing more."""
        token = quote if isinstance(quote, str) else quote["quote"]
        return dict(self._transport.json("POST", BASE, body={"quote": token}))

    def get(self, sale_id: str) -> Result:
        """Return a purchase or a sale of your agent's. Raises NotFound."""
        return dict(self._transport.json("GET", _address(sale_id)))

    def list(self, *, sold: bool = False, limit: int = 25, before: str | None = None) -> list[Result]:
        """Return what your agent has bought, or sold, newest first; `before` is the last one's `opened_at`."""
        asked = {"sold": sold, "limit": limit} | ({} if before is None else {"before": before})
        return [dict(each) for each in self._transport.json("GET", BASE, params=asked)["results"]]

    def download(self, sale_id: str, path: str | os.PathLike[str]) -> Path:
        """Write what was delivered to a path, which is returned. Raises AwarenessError if its digest is another."""
        return self._transport.download(f"{_address(sale_id)}/file", path)

    def refund(self, sale_id: str, *, reason: str, amount: int | None = None) -> Result:
        """Give the buyer the price back as the seller, or `amount` of it in minor units, and return the sale."""
        body = {"reason": reason} | ({} if amount is None else {"amount": amount})
        return self._transport.change("POST", _address(sale_id), "/refund", body=body)


def _address(sale_id: str) -> str:
    return f"{BASE}/{quoted(sale_id, safe='')}"
