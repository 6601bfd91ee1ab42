"""Stripe's messages: signed, recent, and each of no effect the second time, in whatever order they come."""

import itertools
import json

import pytest
from django.core.cache import cache

from latentmas.events.models import Event
from marketplace.payments.models import TopUp
from tests.marketplace.payments.gateways.conftest import SECRET, WEBHOOK

pytestmark = pytest.mark.django_db


@pytest.fixture
def top_up(stripe_server, begin):
    begin("stripe")
    return TopUp.objects.get()


@pytest.fixture
def succeeded(top_up):
    return {
        "id": top_up.reference,
        "object": "payment_intent",
        "amount": 5000,
        "currency": "usd",
        "metadata": {"top_up": top_up.id},
        "status": "succeeded",
    }


@pytest.fixture
def credited(top_up, succeeded, deliver):
    assert deliver("payment_intent.succeeded", succeeded).status_code == 200
    return top_up


def dispute(top_up, status="needs_response", amount=5000, name="dp_1"):
    return {
        "id": name,
        "object": "dispute",
        "amount": amount,
        "currency": "usd",
        "payment_intent": top_up.reference,
        "status": status,
    }


def status_of(top_up):
    top_up.refresh_from_db()
    return top_up.status


def test_a_payment_is_credited_once_however_often_stripe_says_so(top_up, succeeded, deliver, held):
    for _ in range(3):
        answer = deliver("payment_intent.succeeded", succeeded)
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert (status_of(top_up), held()) == ("credited", 5000)
    assert Event.objects.filter(type="top_up.credited").count() == 1
    assert Event.objects.get(type="top_up.credited").metadata["actor"] == "gateway:stripe"


def test_a_secret_that_is_being_replaced_still_holds(top_up, succeeded, deliver, held):
    assert deliver("payment_intent.succeeded", succeeded, secret="whsec_former").status_code == 200
    assert held() == 5000


@pytest.mark.parametrize("wrong", [{"secret": "whsec_other"}, {"ago": 301}])
def test_a_signature_that_does_not_hold_changes_nothing(top_up, succeeded, deliver, held, wrong):
    refused = deliver("payment_intent.succeeded", succeeded, **wrong)
    assert (refused.status_code, refused.json()["code"]) == (400, "WEBHOOK_REFUSED")
    assert (status_of(top_up), held()) == ("requested", 0)


@pytest.mark.parametrize("signature", [None, "", "t=1", "t=x,v1=y", "v1=abc", "t=1,v1=" + "0" * 64])
def test_a_malformed_signature_is_refused(client, stripe_settings, signature):
    headers = {} if signature is None else {"Stripe-Signature": signature}
    refused = client.post(WEBHOOK, "{}", "application/json", headers=headers)
    assert refused.json()["code"] == "WEBHOOK_REFUSED"


def test_a_body_that_was_altered_is_refused(client, top_up, succeeded, held):
    import stripe

    body = json.dumps({"type": "payment_intent.succeeded", "data": {"object": succeeded}})
    header = stripe.WebhookSignature.generate_signature_header(body, SECRET)
    altered = body.replace("5000", "9000")
    refused = client.post(WEBHOOK, altered, "application/json", headers={"Stripe-Signature": header})
    assert (refused.status_code, held()) == (400, 0)


def test_wrong_signatures_come_out_of_a_budget_and_right_ones_do_not(settings, client, top_up, succeeded, deliver):
    settings.THROTTLES = settings.THROTTLES | {"anonymous computing": (2, 60)}
    cache.clear()
    statuses = [deliver("payment_intent.succeeded", succeeded, secret="whsec_other").status_code for _ in range(3)]
    assert statuses == [400, 400, 429]
    assert [deliver("payment_intent.succeeded", succeeded).status_code for _ in range(4)] == [200] * 4


@pytest.mark.parametrize("body", [b"\xff", b"null", b"[]", b'{"type": 1}', b'{"type": "payment_intent.succeeded"}'])
def test_a_signed_message_that_is_none_of_stripes_is_refused(client, stripe_settings, body):
    import stripe

    text = body.decode(errors="replace")
    header = stripe.WebhookSignature.generate_signature_header(text, SECRET)
    refused = client.post(WEBHOOK, body, "application/json", headers={"Stripe-Signature": header})
    assert (refused.status_code, refused.json()["code"]) == (400, "WEBHOOK_REFUSED")


@pytest.mark.parametrize("changed", [{"amount": 4999}, {"currency": "eur"}])
def test_another_amount_than_was_asked_for_is_not_credited(top_up, succeeded, deliver, held, changed):
    refused = deliver("payment_intent.succeeded", succeeded | changed)
    assert (refused.status_code, refused.json()["code"]) == (409, "PAYMENT_MISMATCH")
    assert (status_of(top_up), held()) == ("requested", 0)


@pytest.mark.parametrize("metadata", [None, {}, {"top_up": "nothing"}, {"top_up": 7}])
def test_a_payment_of_something_else_is_left_alone(top_up, succeeded, deliver, held, metadata):
    assert deliver("payment_intent.succeeded", succeeded | {"metadata": metadata}).status_code == 200
    assert (status_of(top_up), held()) == ("requested", 0)


def test_a_message_of_another_type_is_left_alone(top_up, deliver):
    before = Event.objects.count()
    assert deliver("customer.created", {"id": "cus_1"}).status_code == 200
    assert deliver("payment_intent.payment_failed", {"id": top_up.reference}).status_code == 200
    assert Event.objects.count() == before


def test_a_cancelled_intent_has_failed_and_is_not_credited_away(top_up, succeeded, deliver, held):
    deliver("payment_intent.canceled", succeeded)
    assert (status_of(top_up), held()) == ("failed", 0)
    deliver("payment_intent.succeeded", succeeded)
    deliver("payment_intent.canceled", succeeded)
    assert (status_of(top_up), held()) == ("credited", 5000)


def test_a_dispute_takes_the_money_and_a_won_one_brings_it_back(credited, deliver, held):
    for _ in range(2):
        deliver("charge.dispute.created", dispute(credited))
        assert (status_of(credited), credited.returned, held()) == ("disputed", 5000, 0)
    for _ in range(2):
        deliver("charge.dispute.closed", dispute(credited, "won"))
        assert (status_of(credited), credited.returned, held()) == ("credited", 0, 5000)


def test_an_inquiry_takes_nothing_until_it_becomes_a_dispute(credited, deliver, held):
    deliver("charge.dispute.created", dispute(credited, "warning_needs_response"))
    deliver("charge.dispute.closed", dispute(credited, "warning_closed"))
    assert (status_of(credited), held()) == ("credited", 5000)
    deliver("charge.dispute.funds_withdrawn", dispute(credited))
    assert (status_of(credited), held()) == ("disputed", 0)


def test_a_lost_dispute_is_a_charge_back(credited, deliver, held):
    deliver("charge.dispute.created", dispute(credited))
    deliver("charge.dispute.closed", dispute(credited, "lost"))
    assert (status_of(credited), credited.returned, held()) == ("charged-back", 5000, 0)


def test_a_dispute_about_a_part_leaves_the_rest(credited, deliver, held):
    deliver("charge.dispute.created", dispute(credited, amount=2000))
    deliver("charge.dispute.closed", dispute(credited, "lost", amount=2000))
    assert (status_of(credited), credited.returned, held()) == ("credited", 2000, 3000)
    refused = deliver("charge.dispute.created", dispute(credited, amount=4000, name="dp_2"))
    assert (refused.json()["code"], held()) == ("PAYMENT_MISMATCH", 3000)


@pytest.mark.parametrize("end", ["won", "lost"])
def test_the_order_of_messages_does_not_matter(stripe_server, begin, deliver, held, end):
    balances = []
    for order in itertools.permutations(range(3)):
        begin("stripe")
        top_up = TopUp.objects.order_by("-requested_at").first()
        intent = {"id": top_up.reference, "amount": 5000, "currency": "usd", "metadata": {"top_up": top_up.id}}
        messages = [
            ("payment_intent.succeeded", intent),
            ("charge.dispute.created", dispute(top_up, name=f"dp_{top_up.id}")),
            ("charge.dispute.closed", dispute(top_up, end, name=f"dp_{top_up.id}")),
        ]
        before = held()
        waiting = [messages[each] for each in order]
        while waiting:  # Stripe sends again what was not taken
            waiting = [each for each in waiting if deliver(*each).status_code != 200]
        balances.append((status_of(top_up), held() - before))
    assert set(balances) == {("credited", 5000) if end == "won" else ("charged-back", 0)}


def test_a_dispute_before_the_payment_is_sent_again(top_up, deliver, held):
    refused = deliver("charge.dispute.created", dispute(top_up))
    assert (refused.status_code, refused.json()["code"], held()) == (409, "CONFLICT", 0)


def test_a_session_is_credited_when_it_is_paid(checkout, begin, deliver, held):
    made = begin("stripe-checkout")
    session = checkout.sessions[TopUp.objects.get().reference]
    deliver("checkout.session.completed", session)
    assert held() == 0  # completed, but its payment has not come in
    checkout.pay(session["id"])
    deliver("checkout.session.async_payment_succeeded", session)
    deliver(
        "payment_intent.succeeded",
        {"id": session["payment_intent"], "amount": 5000, "currency": "usd", "metadata": {"top_up": made["id"]}},
    )
    top_up = TopUp.objects.get()
    assert (top_up.status, top_up.reference, held()) == ("credited", session["payment_intent"], 5000)
    deliver("charge.dispute.created", dispute(top_up))
    assert (status_of(top_up), held()) == ("disputed", 0)


@pytest.mark.parametrize("kind", ["checkout.session.expired", "checkout.session.async_payment_failed"])
def test_a_session_that_has_ended_unpaid_has_failed(checkout, begin, deliver, kind):
    begin("stripe-checkout")
    deliver(kind, checkout.sessions[TopUp.objects.get().reference])
    assert TopUp.objects.get().failure == "expired"


def test_without_stripe_there_is_nothing_at_the_address(client):
    refused = client.post(WEBHOOK, "{}", "application/json", headers={"Stripe-Signature": "t=1,v1=2"})
    assert (refused.status_code, refused.json()["code"]) == (422, "GATEWAY_NOT_OFFERED")
