"""What a seller's client sends."""

import hashlib
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from kvcache.server.payloads import Given, to_file
from latentmas.rest.scopes import MEMORIES_PUBLISH
from tests.marketplace.conftest import client_of
from tests.marketplace.exchange.sample import memory

FILE = "application/vnd.safetensors"
OFFER = {
    "title": "Minutes",
    "price": {"amount": 500, "currency": "USD"},
    "rights": "My own words.",
    "invertible": True,
}


def kept(client: Client, tokens: int = 9) -> str:
    response = client.post("/api/stored-memories", to_file(Given(memory(tokens))), FILE)
    assert response.status_code in (200, 201), response.content  # 200: it was kept already
    return str(response.json()["id"])


def post(client: Client, path: str, body: object, *, seen: int | None = None) -> Any:
    headers = {} if seen is None else {"If-Match": f'"{seen}"'}
    return client.post(path, body, "application/json", headers=headers)


def selling(other_agent: Any) -> Client:
    """A client that may sell as another login's agent."""
    other_agent("bob")
    return client_of(User.objects.get(username="bob"), MEMORIES_PUBLISH)


def sold(client: Client, **more: Any) -> Any:
    """List a memory; return its card."""
    response = post(client, "/api/memories", OFFER | {"memory": kept(client)} | more)
    assert response.status_code == 201, response.content
    return response.json()


def uploaded(client: Client, data: bytes) -> str:
    """Send a file as a finished upload; return its id."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    begun = client.post("/api/uploads", {"size": len(data), "digest": digest}, "application/json").json()
    client.patch(begun["url"], data, "application/octet-stream", headers={"Upload-Offset": "0"})
    return str(begun["id"])
