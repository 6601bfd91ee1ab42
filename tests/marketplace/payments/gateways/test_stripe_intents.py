"""Stripe by PaymentIntents: the official client against localstripe, over HTTP."""

import pytest

from latentmas.events.models import Event
from marketplace.payments.models import TopUp
from marketplace.payments.reconciling import EXPIRY, PATIENCE, reconcile_all
from tests.marketplace.payments.conftest import CURATOR
from tests.marketplace.payments.gateways.answering import answer, hang_up
from tests.marketplace.payments.gateways.conftest import TOP_UPS
from tests.marketplace.payments.gateways.local_stripe import DECLINED, KEY

pytestmark = pytest.mark.django_db
WANTED = {"amount": 5000, "currency": "USD", "gateway": "stripe"}


def later(by=2 * PATIENCE):
    """Let every top-up be older, so that it is asked about."""
    for row in TopUp.objects.all():
        TopUp.objects.filter(id=row.id).update(requested_at=row.requested_at - by)


def reconciled():
    later()
    return dict(reconcile_all(metadata=CURATOR))


@pytest.fixture
def intent(stripe_server, begin):
    return begin("stripe")["next_step"]["client_secret"].partition("_secret_")[0]


def test_a_top_up_is_an_intent_that_names_it(stripe_server, begin, remote):
    made = begin("stripe")
    (intent,) = stripe_server.intents()
    assert (intent["amount"], intent["currency"], intent["metadata"]) == (5000, "usd", {"top_up": made["id"]})
    assert made["next_step"] == {"kind": "confirm", "client_secret": intent["client_secret"]}
    assert (made["status"], TopUp.objects.get().reference) == ("requested", intent["id"])
    (asked,) = remote.asked
    assert (remote.resolved, asked.headers["Idempotency-Key"]) == (["api.stripe.com"], f"top-up/{made['id']}")


def test_no_secret_is_in_an_event_or_a_log(stripe_server, begin, caplog):
    secret = begin("stripe")["next_step"]["client_secret"]
    recorded = b"".join(bytes(body) for body in Event.objects.values_list("body", flat=True)).decode()
    for each in (secret, KEY):
        assert each not in recorded
        assert each not in caplog.text


def test_a_payment_is_found_out_by_asking(stripe_server, intent, held):
    assert (reconciled(), held()) == ({"requested": 1}, 0)
    assert stripe_server.pay(intent) == 200
    assert (reconciled(), held()) == ({"credited": 1}, 5000)
    assert (reconciled(), held()) == ({}, 5000)


def test_a_declined_card_leaves_the_top_up_open(stripe_server, intent, held):
    assert stripe_server.pay(intent, DECLINED) == 402
    assert (reconciled(), held()) == ({"requested": 1}, 0)


def test_nobody_pays_for_a_day_and_the_intent_is_cancelled(stripe_server, intent, held):
    later(EXPIRY)
    assert reconciled() == {"failed": 1}
    (stored,) = stripe_server.intents()
    assert (stored["status"], TopUp.objects.get().failure) == ("canceled", "cancelled")
    assert held() == 0


def test_what_was_paid_in_the_last_moment_is_not_given_up(stripe_server, intent, held):
    later(EXPIRY)
    stripe_server.pay(intent)
    assert (reconciled(), held()) == ({"credited": 1}, 5000)


def test_an_intent_whose_creation_was_not_answered_stays_unknown_until_it_is(stripe_server, remote, payer, held):
    remote.respond = hang_up
    made = payer.post(TOP_UPS, WANTED, "application/json")
    assert (made.status_code, made.json()["status"], made.json()["next_step"]) == (201, "unknown", {})
    assert reconciled() == {"unknown": 1}
    stripe_server.forward(remote)
    assert reconciled() == {"requested": 1}
    keys = {each.headers["Idempotency-Key"] for each in remote.asked}
    assert keys == {f"top-up/{made.json()['id']}"}
    assert (len(stripe_server.intents()), held()) == (1, 0)


def test_silence_about_an_open_intent_changes_nothing(stripe_server, remote, intent):
    remote.respond = hang_up
    before = Event.objects.count()
    assert (reconciled(), Event.objects.count()) == ({"requested": 1}, before)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_an_error_of_stripes_is_no_refusal(stripe_server, remote, payer, status):
    remote.respond = lambda handler: answer(handler, status, {"error": {"type": "api_error", "message": "no"}})
    assert payer.post(TOP_UPS, WANTED, "application/json").json()["status"] == "unknown"


def test_what_stripe_refuses_has_failed(stripe_server, remote, payer, held):
    refusal = {"error": {"type": "invalid_request_error", "message": "Amount must be at least 50 cents"}}
    remote.respond = lambda handler: answer(handler, 400, refusal)
    refused = payer.post(TOP_UPS, WANTED | {"amount": 1}, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (402, "PAYMENT_REFUSED")
    assert refused.json()["detail"] == "Amount must be at least 50 cents"
    row = TopUp.objects.get()
    assert refused.json()["facts"] == {"top_up": f"{TOP_UPS}/{row.id}"}
    assert (row.status, row.failure, held()) == ("failed", "refused", 0)


def test_the_client_never_repeats_a_request_by_itself(stripe_server, remote, payer):
    remote.respond = hang_up
    payer.post(TOP_UPS, WANTED, "application/json")
    assert len(remote.asked) == 1
