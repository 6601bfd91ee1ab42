"""A payment as it happens: our server asks localstripe, a card pays there, and localstripe's own message credits it."""

import threading

import pytest

from marketplace.payments import stripe_api
from tests.marketplace.payments.gateways.conftest import SECRET, TOP_UPS, WEBHOOK

PATIENCE_SECONDS = 20  # how long the message may take; localstripe waits a second before it sends one


@pytest.fixture
def acted_on(monkeypatch):
    """Set when a message was carried out."""
    done, act_on = threading.Event(), stripe_api.act_on

    def act(kind, body):
        act_on(kind, body)
        done.set()

    monkeypatch.setattr(stripe_api, "act_on", act)
    return done


@pytest.mark.django_db(transaction=True)
def test_a_card_pays_and_the_wallet_is_credited(live_server, stripe_server, begin, payer, held, acted_on):
    hook = {"url": f"{live_server.url}{WEBHOOK}", "secret": SECRET, "events": ["payment_intent.succeeded"]}
    stripe_server.client.post("/_config/webhooks/ours", json=hook).raise_for_status()
    made = begin("stripe")
    assert stripe_server.pay(made["next_step"]["client_secret"].partition("_secret_")[0]) == 200
    assert acted_on.wait(PATIENCE_SECONDS)
    assert payer.get(f"{TOP_UPS}/{made['id']}").json()["status"] == "credited"
    assert held() == 5000
