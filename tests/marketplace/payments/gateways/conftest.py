"""The gateways' other sides, on this machine: localstripe, a double of Checkout."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe
from django.http import HttpResponse
from django.test import Client

from marketplace.agents.models import Agent
from tests.marketplace.payments.gateways import local_stripe
from tests.marketplace.payments.gateways.checkout_double import CheckoutDouble
from tests.marketplace.payments.gateways.local_stripe import KEY, LocalStripe
from tests.remote import Remote

SECRET = "whsec_test"
WEBHOOK = "/api/payments/stripe/webhook"
TOP_UPS = "/api/top-ups"


@pytest.fixture
def stripe_settings(settings) -> None:
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRETS = KEY, ["whsec_former", SECRET]
    settings.STRIPE_RETURN_URL = "https://market.example/wallet"


@pytest.fixture(scope="session")
def local_stripe_server() -> Iterator[LocalStripe]:
    with local_stripe.serving() as server:
        yield server


@pytest.fixture
def stripe_server(local_stripe_server: LocalStripe, stripe_settings: None, remote: Remote) -> LocalStripe:
    """localstripe, to which all that is sent to api.stripe.com goes."""
    local_stripe_server.client.delete("/_config/data")
    local_stripe_server.forward(remote)
    return local_stripe_server


@pytest.fixture
def checkout(stripe_settings: None, remote: Remote) -> CheckoutDouble:
    double = CheckoutDouble()
    double.listen(remote)
    return double


@pytest.fixture
def begin(payer: Client, agent: Agent) -> Callable[..., dict[str, Any]]:
    """Begins a top-up of 5000 USD by a gateway, and returns the answer."""

    def begin(gateway: str, **changes: object) -> dict[str, Any]:
        wanted = {"amount": 5000, "currency": "USD", "gateway": gateway, **changes}
        made = payer.post(TOP_UPS, wanted, "application/json")
        assert made.status_code == 201, made.content
        document: dict[str, Any] = made.json()
        return document

    return begin


@pytest.fixture
def deliver(client: Client) -> Callable[..., HttpResponse]:
    """Sends a message as Stripe does, signed now with the endpoint's secret unless told otherwise."""

    def deliver(kind: str, subject: dict[str, Any], *, secret: str = SECRET, ago: int = 0) -> HttpResponse:
        message = {"id": "evt_1", "object": "event", "type": kind, "data": {"object": subject}}
        body = json.dumps(message)
        header = stripe.WebhookSignature.generate_signature_header(body, secret, int(time.time()) - ago)
        return client.post(WEBHOOK, body, "application/json", headers={"Stripe-Signature": header})

    return deliver
