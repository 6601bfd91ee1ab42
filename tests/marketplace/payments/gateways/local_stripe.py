"""localstripe (PyPI), a server that passes for Stripe's API but has no Checkout, on a port of this machine."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from unittest import mock

import httpx
from aiohttp import web
from localstripe import resources
from localstripe.server import app

from tests.marketplace.payments.gateways.answering import send
from tests.remote import Remote

CARD = {"type": "card", "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2050, "cvc": "123"}}
DECLINED = {"type": "card", "card": CARD["card"] | {"number": "4000000000000341"}}
KEY = "sk_test_local"


class LocalStripe:
    """The server, as whoever pays sees it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"})

    def forward(self, remote: Remote) -> None:
        """Let what is sent to api.stripe.com reach this server."""

        def respond(handler: BaseHTTPRequestHandler) -> None:
            asked = remote.asked[-1]
            kept = {name: asked.headers[name] for name in ("Authorization", "Content-Type") if name in asked.headers}
            reply = self.client.request(asked.method, asked.path, headers=kept, content=asked.body)
            send(handler, reply.status_code, reply.content)

        remote.respond = respond

    def pay(self, intent: str, card: dict[str, object] = CARD) -> int:
        """Confirm an intent with a card, as the payer's program does; return the status of the answer."""
        method = self.client.post("/v1/payment_methods", json=card).json()["id"]
        self.client.post(f"/v1/payment_intents/{intent}", json={"payment_method": method}).raise_for_status()
        return self.client.post(f"/v1/payment_intents/{intent}/confirm").status_code

    def intents(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.client.get("/v1/payment_intents").json()["data"]
        return found


@contextmanager
def serving() -> Iterator[LocalStripe]:
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), []

    async def start() -> web.AppRunner:
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ports.append(runner.addresses[0][1])
        ready.set()
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    # It would write all it knows to a file in /tmp after every request.
    with mock.patch.object(resources.Store, "dump_to_disk"):
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield LocalStripe(ports[0])
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
