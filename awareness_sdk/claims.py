"""`client.disputes` and `client.acceptances`: what a buyer can do when a purchase is not what it was said to be."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote as quoted

from awareness_sdk.polling import asked_again
from awareness_sdk.transport import Transport

Result = dict[str, Any]
DISPUTES, ACCEPTANCES = "/api/disputes", "/api/acceptances"
POLL_SECONDS = 5.0
WAITING = "requested"


class DisputesClient:
    """`client.disputes`. A dispute's id is its purchase's; it needs the scope `purchases:write`.

    Every call raises AwarenessError with the server's code.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def open(self, sale_id: str, *, kind: str, text: str) -> Result:
        """Open a dispute about a purchase within 14 days, and return it; the seller's share is set aside.

        `kind` is "defective", "not-as-described", "below-certificate", "rights" or "other"; the seller reads `text`.
        """
        return dict(self._transport.json("POST", DISPUTES, body={"purchase": sale_id, "kind": kind, "text": text}))

    def get(self, sale_id: str) -> Result:
        """Return a dispute, with its `answer` and what a curator has decided (`outcome`). Raises NotFound."""
        return dict(self._transport.json("GET", _address(DISPUTES, sale_id)))

    def list(self, *, sold: bool = False) -> Iterator[Result]:
        """Yield the disputes about what your agent has bought, or has sold, the oldest first."""
        return self._transport.pages(DISPUTES, {"sold": sold})

    def answer(self, sale_id: str, *, text: str) -> Result:
        """Say as the seller, once, what you think of a dispute, and return it."""
        return self._transport.change("POST", _address(DISPUTES, sale_id), "/answer", body={"text": text})

    def withdraw(self, sale_id: str) -> Result:
        """Take a dispute back as its buyer, and return it."""
        return self._transport.change("POST", _address(DISPUTES, sale_id), "/withdraw")


class AcceptancesClient:
    """`client.acceptances`: have a W-Matrix measured on texts of your own. It needs the scope `purchases:write`.

    An acceptance's id is its quote's, and so its purchase's. Every call raises AwarenessError with the server's code.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def name_texts(self, quote: str | Mapping[str, Any], texts: Sequence[str], *, length: int | None = None) -> Result:
        """Name eight to 24 texts with a quote that is not used yet, and return what the certificate promises.

        `length` is one of the contexts, in tokens, that the certificate covers; the shortest by default.
        """
        token = quote if isinstance(quote, str) else quote["quote"]
        body = {"quote": token, "texts": list(texts)} | ({} if length is None else {"length": length})
        return dict(self._transport.json("POST", ACCEPTANCES, body=body))

    def get(self, acceptance_id: str) -> Result:
        """Return what has become of the texts: `status`, what was `kept`, and what was `refunded`. Raises NotFound."""
        return dict(self._transport.json("GET", _address(ACCEPTANCES, acceptance_id)))

    def list(self, *, sold: bool = False) -> Iterator[Result]:
        """Yield what was measured for what your agent buys, or has sold."""
        return self._transport.pages(ACCEPTANCES, {"sold": sold})

    def wait(self, acceptance_id: str, *, timeout: float, poll_seconds: float = POLL_SECONDS) -> Result:
        """Wait, once the quote was used, until the texts were measured, and return the result.

        Raises AwarenessError TIMEOUT after `timeout` seconds, while the measurement goes on.
        """
        late = f"the acceptance {acceptance_id} was not measured"
        answers = asked_again(lambda: self.get(acceptance_id), timeout=timeout, poll_seconds=poll_seconds, late=late)
        return next(found for found in answers if found["status"] != WAITING)


def _address(base: str, identifier: str) -> str:
    return f"{base}/{quoted(identifier, safe='')}"
