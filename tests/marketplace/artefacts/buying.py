"""What a buyer's client sends, and puts on sale before."""

from typing import Any

from django.test import Client

from tests.marketplace.artefacts.sample import screen
from tests.marketplace.artefacts.selling import OFFER, post


def on_sale(shop: Client, path: str, body: dict[str, Any]) -> Any:
    """List an artefact that has passed its screening; return its card."""
    card = post(shop, f"/api/{path}", OFFER | body).json()
    screen(card["id"])
    return card


def quoted(client: Client, card: Any, **delivery: Any) -> Any:
    return post(client, f"{card['url']}/quote", {"delivery": delivery})


def used(client: Client, card: Any, **delivery: Any) -> Any:
    token = quoted(client, card, **delivery).json()["quote"]
    return post(client, f"{card['url']}/use", {"quote": token})


def downloaded(client: Client, purchase: Any) -> bytes:
    response = client.get(purchase["file"]["url"])
    assert response.status_code == 200
    return b"".join(response.streaming_content)
