"""Payouts: what is asked for is set aside, and leaves or comes back."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from latentmas.events.models import Event
from latentmas.events.types import Metadata
from latentmas.protocol.errors import Conflict, InvalidInput
from latentmas.rest.scopes import PAYOUTS_WRITE, TOP_UPS_WRITE, WALLET_READ
from marketplace.accounts.commands import create_token
from marketplace.accounts.mandates import Mandate
from marketplace.agents.commands import suspend_agent
from marketplace.agents.events import SuspensionReason
from marketplace.ledger.accounts import gateway, payout
from marketplace.ledger.balances import balance_of
from marketplace.ledger.errors import OwnMoney
from marketplace.payments.by_hand import charge_back_top_up
from marketplace.payments.errors import NegativeBalance
from marketplace.payments.models import PaymentText, Payout, TopUp
from marketplace.payments.payout_commands import approve_payout, erase_payout_texts, mark_paid, refuse_payout
from tests.marketplace import sample
from tests.marketplace.conftest import client_of
from tests.marketplace.payments.conftest import CURATOR

pytestmark = pytest.mark.django_db
PAYOUTS = "/api/payouts"
IBAN = "DE02 1203 0000 0000 2020 51"
WANTED = {"amount": 300, "currency": "USD", "destination": IBAN}


@pytest.fixture
def made(payer, funded):
    return payer.post(PAYOUTS, WANTED, "application/json")


@pytest.fixture
def row(made):
    return Payout.objects.get(id=made.json()["id"])


def status_of(row):
    row.refresh_from_db()
    return row.status


def test_a_request_sets_the_amount_aside(payer, made, held):
    body = made.json()
    assert (made.status_code, made["Location"], made["ETag"]) == (201, f"{PAYOUTS}/{body['id']}", '"2"')
    assert (body["status"], body["amount"]) == ("requested", {"amount": 300, "currency": "USD"})
    assert (held(), balance_of(payout(body["id"], "USD"))) == (700, 300)
    assert payer.get(made["Location"]).json() == body
    assert payer.get("/api/wallet").json()["wallets"][0]["paying_out"]["amount"] == 300


def test_only_the_last_characters_of_a_destination_are_shown(payer, made):
    assert made.json()["destination"] == "...0 51"
    assert payer.get(PAYOUTS).json()["results"][0]["destination"] == "...0 51"
    assert IBAN.encode() not in b"".join(bytes(body) for body in Event.objects.values_list("body", flat=True))
    assert PaymentText.objects.get(stream=f"payout/{made.json()['id']}").text == IBAN


def test_an_approved_payout_is_paid(row, held):
    approve_payout(row, reason="Checked.", metadata=CURATOR)
    mark_paid(row, reason="Transfer 99.", metadata=CURATOR)
    assert status_of(row) == "paid"
    assert (held(), balance_of(payout(row.id, "USD")), balance_of(gateway("manual", "USD"))) == (700, 0, -700)


def test_a_refused_payout_comes_back(row, held):
    approve_payout(row, reason="Checked.", metadata=CURATOR)
    refuse_payout(row, reason="The bank does not know the account.", metadata=CURATOR)
    assert (status_of(row), held()) == ("refused", 1000)


def test_a_cancelled_payout_comes_back(payer, made, row, held):
    gone = payer.delete(made["Location"], headers={"If-Match": made["ETag"]})
    assert (gone.status_code, gone.json()["status"], gone["ETag"]) == (200, "cancelled", '"4"')
    assert held() == 1000


def test_a_cancellation_says_which_version_it_has_seen(payer, made, row):
    assert payer.delete(made["Location"]).json()["code"] == "PRECONDITION_REQUIRED"
    assert payer.delete(made["Location"], headers={"If-Match": '"1"'}).json()["code"] == "VERSION_CONFLICT"
    approve_payout(row, reason="Checked.", metadata=CURATOR)
    late = payer.delete(made["Location"], headers={"If-Match": '"3"'})
    assert (late.status_code, late.json()["code"]) == (409, "CONFLICT")
    assert status_of(row) == "approved"


@pytest.mark.parametrize("before", ["requested", "paid", "refused", "cancelled"])
def test_every_other_step_is_refused(payer, made, row, before, held):
    if before == "paid":
        approve_payout(row, reason="Checked.", metadata=CURATOR)
        mark_paid(row, reason="Transfer 99.", metadata=CURATOR)
    elif before == "refused":
        refuse_payout(row, reason="No.", metadata=CURATOR)
    elif before == "cancelled":
        payer.delete(made["Location"], headers={"If-Match": made["ETag"]})
    steps = [mark_paid] if before == "requested" else [approve_payout, mark_paid, refuse_payout]
    balance, count = held(), Event.objects.count()
    for step in steps:
        with pytest.raises(Conflict):
            step(row, reason="Because.", metadata=CURATOR)
    assert (status_of(row), held(), Event.objects.count()) == (before, balance, count)


def test_more_than_the_wallet_holds_is_refused(payer, funded, held):
    refused = payer.post(PAYOUTS, WANTED | {"amount": 1001}, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (402, "INSUFFICIENT_FUNDS")
    other = payer.post(PAYOUTS, WANTED | {"currency": "EUR", "amount": 1}, "application/json")
    assert (other.status_code, other.json()["code"]) == (402, "INSUFFICIENT_FUNDS")
    assert (held(), Payout.objects.count(), PaymentText.objects.filter(text=IBAN).count()) == (1000, 0, 0)


def test_a_wallet_below_zero_blocks_every_payout(payer, agent, funded, row):
    approve_payout(row, reason="Checked.", metadata=CURATOR)
    charge_back_top_up(TopUp.objects.get(id=funded), reason="Taken back.", metadata=CURATOR)
    with pytest.raises(NegativeBalance):
        mark_paid(row, reason="Transfer 99.", metadata=CURATOR)
    from latentmas.protocol.money import Money
    from marketplace.payments.by_hand import top_up_by_hand

    top_up_by_hand(agent, Money(50, "EUR"), reason="Euros.", metadata=CURATOR)
    blocked = payer.post(PAYOUTS, WANTED | {"currency": "EUR", "amount": 50}, "application/json")
    assert (blocked.status_code, blocked.json()["code"]) == (409, "NEGATIVE_BALANCE")
    refuse_payout(row, reason="The wallet is below zero.", metadata=CURATOR)
    assert status_of(row) == "refused"


def test_a_token_with_a_mandate_cannot_pay_out(alice, payer, funded, made):
    terms = Mandate("USD", budget_per_day=10**6, expires_at=timezone.now() + timedelta(days=1))
    scopes = [PAYOUTS_WRITE, WALLET_READ, TOP_UPS_WRITE]
    _, token = create_token(alice, name="buyer", scopes=scopes, mandate=terms)
    buyer = Client(headers={"Authorization": f"Bearer {token}"})
    for refused in (
        buyer.post(PAYOUTS, WANTED, "application/json"),
        buyer.delete(made["Location"], headers={"If-Match": made["ETag"]}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
        assert "mandate" in refused.json()["detail"]
    assert buyer.get(made["Location"]).status_code == 200
    assert Payout.objects.count() == 1


def test_payouts_are_their_agents_alone(client, client_with, made, other_agent):
    assert client.get(PAYOUTS).status_code == 401
    assert client_with(WALLET_READ).post(PAYOUTS, WANTED, "application/json").status_code == 403
    assert client_with(PAYOUTS_WRITE).get(made["Location"]).status_code == 403
    other_agent("bob")
    bob = client_of(User.objects.get(username="bob"), WALLET_READ, PAYOUTS_WRITE)
    assert bob.get(made["Location"]).status_code == 404
    assert bob.delete(made["Location"], headers={"If-Match": made["ETag"]}).status_code == 404
    assert bob.get(PAYOUTS).json()["results"] == []


def test_a_suspended_agent_gets_nothing_out(payer, agent, funded):
    suspend_agent(agent.id, reason=SuspensionReason.FRAUD, metadata=sample.METADATA)
    refused = payer.post(PAYOUTS, WANTED, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "AGENT_SUSPENDED")


def test_nobody_pays_himself(alice, row):
    own = Metadata(actor=f"user:{alice.pk}")
    for step in (approve_payout, refuse_payout, mark_paid):
        with pytest.raises(OwnMoney):
            step(row, reason="Mine.", metadata=own)
    assert status_of(row) == "requested"


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x00b"])
def test_a_decision_needs_a_reason(row, reason):
    for step in (approve_payout, refuse_payout):
        with pytest.raises(InvalidInput):
            step(row, reason=reason, metadata=CURATOR)
    assert status_of(row) == "requested"


def test_what_was_written_is_erased_when_it_is_no_longer_needed(payer, made, row):
    with pytest.raises(Conflict, match="still needed"):
        erase_payout_texts(row)
    refuse_payout(row, reason="No.", metadata=CURATOR)
    row.refresh_from_db()
    assert erase_payout_texts(row) == 2
    assert not PaymentText.objects.filter(stream=f"payout/{row.id}").exists()
    assert payer.get(made["Location"]).json()["destination"] == "(erased)"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"currency": "usd"}, "currency"),
        ({"destination": ""}, "destination"),
        ({"destination": "x" * 201}, "destination"),
        ({"gateway": "stripe"}, "gateway"),
    ],
)
def test_a_wrong_request_is_refused(payer, funded, wrong, field):
    refused = payer.post(PAYOUTS, WANTED | wrong, "application/json")
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert not Payout.objects.exists()


def test_the_same_request_under_its_key_is_one_payout(payer, funded, held):
    answers = [payer.post(PAYOUTS, WANTED, "application/json", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert (Payout.objects.count(), held()) == (1, 700)
