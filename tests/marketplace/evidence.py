"""A certified file with the answers that prove its certificate."""

from typing import Any

from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from latentmas.transparency import checkpoints
from marketplace.listings.certificates import signing
from tests.marketplace import sample


def gather(settings: Settings, *, more: int = 0) -> dict[str, Any]:
    """List, certify, sign and seal, and return the three answers as their JSON; `more` events follow the signature."""
    client = Client()
    settings.LOG_ORIGIN = "tests.example/log"
    settings.LOG_SIGNING_KEY, settings.CERTIFICATE_SIGNING_KEY = b"l" * 32, b"c" * 32
    listing = sample.make_listing(at=timezone.now())
    signing.sign_certificates(metadata=sample.METADATA)
    for number in range(more):
        sample.publish(listing, f"1.0.{number + 1}")
    checkpoints.seal(metadata=sample.METADATA)
    certificate = client.get(f"/api/w-matrices/{listing}/versions/1.0.0/certificate").json()
    position = certificate["signature"]["position"]
    return {
        "certificate": certificate,
        "proof": client.get(f"/api/log/proof?position={position}").json(),
        "keys": client.get("/api/log/keys").json(),
    }
