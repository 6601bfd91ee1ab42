"""Stripe by Checkout Sessions, against a double of our own: localstripe has none."""

import pytest

from marketplace.payments.models import TopUp
from marketplace.payments.reconciling import EXPIRY
from tests.marketplace.payments.gateways.answering import hang_up
from tests.marketplace.payments.gateways.test_stripe_intents import later, reconciled

pytestmark = pytest.mark.django_db


def test_the_payer_is_sent_to_a_page_of_stripes(checkout, begin, remote):
    made = begin("stripe-checkout")
    session = checkout.sessions[TopUp.objects.get().reference]
    assert (made["next_step"]["kind"], made["next_step"]["url"]) == ("page", session["url"])
    assert (session["amount_total"], session["currency"]) == (5000, "usd")
    assert session["client_reference_id"] == session["metadata"]["top_up"] == made["id"]
    assert b"success_url=https%3A%2F%2Fmarket.example%2Fwallet%3Ftop_up%3D" in remote.asked[0].body


def test_a_paid_session_is_credited_under_the_intent_that_paid_it(checkout, begin, held):
    begin("stripe-checkout")
    assert (reconciled(), held()) == ({"requested": 1}, 0)
    session = TopUp.objects.get().reference
    checkout.pay(session)
    assert (reconciled(), held()) == ({"credited": 1}, 5000)
    assert TopUp.objects.get().reference == f"pi_of_{session}"


def test_a_session_that_nobody_pays_expires(checkout, begin, held):
    begin("stripe-checkout")
    later(EXPIRY)
    assert (reconciled(), held()) == ({"failed": 1}, 0)
    assert TopUp.objects.get().failure == "expired"


def test_a_session_that_was_paid_when_it_was_to_expire_is_credited(checkout, begin, remote, held):
    begin("stripe-checkout")
    row = TopUp.objects.get()
    checkout.pay(row.reference)
    from marketplace.payments.gateways.offered import gateway_named
    from marketplace.payments.queries import payment_of

    outcome = gateway_named("stripe-checkout").give_up(payment_of(row))
    assert (outcome.verdict, outcome.reference) == ("paid", f"pi_of_{row.reference}")


def test_a_session_whose_creation_was_not_answered_is_the_same_one_when_it_is(checkout, begin, remote):
    listening, remote.respond = remote.respond, hang_up
    assert begin("stripe-checkout")["status"] == "unknown"
    remote.respond = listening
    assert reconciled() == {"requested": 1}
    assert reconciled() == {"requested": 1}
    assert list(checkout.sessions) == ["cs_test_1"]
