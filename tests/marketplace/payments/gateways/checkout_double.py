"""Our own double of Stripe's Checkout Sessions, since localstripe has none: create, retrieve, expire, and a payer.

It is no more than what Stripe's documentation says of these calls. A second creation under the same Idempotency-Key is
answered with the first session.
"""

import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.marketplace.payments.gateways.answering import answer
from tests.remote import Asked, Remote

NEEDED = ("mode", "success_url", "line_items[0][price_data][unit_amount]", "line_items[0][price_data][currency]")


@dataclass
class CheckoutDouble:
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)

    def listen(self, remote: Remote) -> None:
        def respond(handler: BaseHTTPRequestHandler) -> None:
            answer(handler, *self.answer_to(remote.asked[-1]))

        remote.respond = respond

    def pay(self, identifier: str) -> None:
        session = self.sessions[identifier]
        session |= {"status": "complete", "payment_status": "paid", "payment_intent": f"pi_of_{identifier}"}

    def answer_to(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(asked.path).path.removeprefix("/v1/checkout/sessions").strip("/").split("/")
        if asked.method == "POST" and parts == [""]:
            return self._created(asked)
        session = self.sessions.get(parts[0])
        if session is None:
            return _refused(f"No such checkout.session: {parts[0]}")
        if parts[1:] == ["expire"]:
            if session["status"] != "open":
                return _refused("Only Checkout Sessions with a status in [open] can be expired.")
            session["status"] = "expired"
        return 200, session

    def _created(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        if missing := [name for name in NEEDED if name not in form]:
            return _refused(f"Missing required param: {missing[0]}.")
        key = asked.headers["Idempotency-Key"]
        identifier = self.by_key.setdefault(key, f"cs_test_{len(self.by_key) + 1}")
        self.sessions.setdefault(
            identifier,
            {
                "id": identifier,
                "object": "checkout.session",
                "status": "open",
                "payment_status": "unpaid",
                "payment_intent": None,
                "url": f"https://checkout.stripe.com/c/pay/{identifier}",
                "expires_at": int(time.time()) + 86_400,
                "amount_total": int(form["line_items[0][price_data][unit_amount]"]),
                "currency": form["line_items[0][price_data][currency]"],
                "metadata": {"top_up": form["metadata[top_up]"]},
                "client_reference_id": form["client_reference_id"],
            },
        )
        return 200, self.sessions[identifier]


def _refused(message: str) -> tuple[int, dict[str, Any]]:
    return 400, {"error": {"type": "invalid_request_error", "message": message}}
