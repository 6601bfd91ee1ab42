"""Top-ups by hand and over REST, without any gateway but a curator."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from latentmas.events.models import Event
from latentmas.events.types import Metadata
from latentmas.protocol.errors import Conflict, InvalidInput
from latentmas.protocol.money import Money
from latentmas.rest.scopes import TOP_UPS_WRITE, WALLET_READ
from marketplace.ledger.accounts import gateway
from marketplace.ledger.balances import balance_of
from marketplace.ledger.errors import OwnMoney
from marketplace.payments.by_hand import charge_back_top_up, credit_top_up, fail_top_up, top_up_by_hand
from marketplace.payments.models import PaymentText, TopUp
from marketplace.payments.top_up_commands import MAX_AMOUNT
from tests.marketplace.conftest import client_of
from tests.marketplace.payments.conftest import CURATOR

pytestmark = pytest.mark.django_db
TOP_UPS = "/api/top-ups"
WANTED = {"amount": 5000, "currency": "USD", "gateway": "manual"}


@pytest.fixture
def requested(payer):
    return TopUp.objects.get(id=payer.post(TOP_UPS, WANTED, "application/json").json()["id"])


def test_a_top_up_waits_for_the_curator(payer, agent, held):
    made = payer.post(TOP_UPS, WANTED, "application/json")
    body = made.json()
    assert (made.status_code, made["Location"]) == (201, f"{TOP_UPS}/{body['id']}")
    assert body["next_step"] == {"kind": "transfer", "purpose": f"top-up {body['id']}"}
    assert (body["status"], body["amount"]) == ("requested", {"amount": 5000, "currency": "USD"})
    assert held() == 0
    credit_top_up(TopUp.objects.get(), reason="The transfer of Ms Winter has come in.", metadata=CURATOR)
    assert payer.get(made["Location"]).json() == {key: value for key, value in body.items() if key != "next_step"} | {
        "status": "credited",
        "updated_at": payer.get(made["Location"]).json()["updated_at"],
    }
    assert (held(), balance_of(gateway("manual", "USD"))) == (5000, -5000)


def test_a_top_up_is_credited_once(requested, held):
    credit_top_up(requested, reason="It has come in.", metadata=CURATOR)
    with pytest.raises(Conflict, match="is credited already"):
        credit_top_up(requested, reason="It has come in.", metadata=CURATOR)
    assert held() == 5000


def test_what_has_failed_may_come_in_after_all(requested, held):
    fail_top_up(requested, reason="Nothing has come in.", metadata=CURATOR)
    requested.refresh_from_db()
    assert (requested.status, requested.failure, held()) == ("failed", "curator", 0)
    with pytest.raises(Conflict, match="is failed already"):
        fail_top_up(requested, reason="Nothing has come in.", metadata=CURATOR)
    credit_top_up(requested, reason="Now it has.", metadata=CURATOR)
    requested.refresh_from_db()
    assert (requested.status, requested.failure, held()) == ("credited", None, 5000)


def test_a_charge_back_can_leave_a_wallet_below_zero(payer, agent, funded, held):
    row = TopUp.objects.get(id=funded)
    payout = {"amount": 900, "currency": "USD", "destination": "DE02 1203 0000 0000 2020 51"}
    assert payer.post("/api/payouts", payout, "application/json").status_code == 201
    charge_back_top_up(row, reason="The bank has taken it back.", metadata=CURATOR)
    row.refresh_from_db()
    assert (row.status, row.returned, held()) == ("charged-back", 1000, -900)
    with pytest.raises(Conflict):
        charge_back_top_up(row, reason="Again.", metadata=CURATOR)
    assert payer.get("/api/wallet").json()["wallets"][0]["balance"]["amount"] == -900


def test_nothing_goes_back_of_what_has_not_come_in(requested):
    with pytest.raises(Conflict, match="nothing has come in"):
        charge_back_top_up(requested, reason="No.", metadata=CURATOR)


def test_a_reason_lies_beside_its_event_and_can_be_erased(requested):
    credit_top_up(requested, reason="The transfer of Ms Winter has come in.", metadata=CURATOR)
    assert b"Winter" not in b"".join(bytes(body) for body in Event.objects.values_list("body", flat=True))
    kept = PaymentText.objects.get()
    assert (kept.text, kept.stream) == ("The transfer of Ms Winter has come in.", f"top-up/{requested.id}")
    credited = Event.objects.get(type="top_up.credited")
    assert credited.payload["reason"] == {"plain": None, "commitment": kept.commitment}


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x00b"])
def test_a_decision_needs_a_reason(requested, reason):
    for decide in (credit_top_up, fail_top_up):
        with pytest.raises(InvalidInput) as refused:
            decide(requested, reason=reason, metadata=CURATOR)
        assert refused.value.facts["field"] == "reason"
    assert TopUp.objects.get().status == "requested"


def test_nobody_credits_himself(alice, agent, requested):
    own = Metadata(actor=f"user:{alice.pk}")
    for attempt in (
        lambda: top_up_by_hand(agent, Money(100, "USD"), reason="For me.", metadata=own),
        lambda: credit_top_up(requested, reason="For me.", metadata=own),
        lambda: fail_top_up(requested, reason="Mine.", metadata=own),
    ):
        with pytest.raises(OwnMoney):
            attempt()
    assert TopUp.objects.get().status == "requested"


def test_the_same_request_under_its_key_begins_one_top_up(payer):
    headers = {"Idempotency-Key": "one"}
    made = payer.post(TOP_UPS, WANTED, "application/json", headers=headers)
    again = payer.post(TOP_UPS, WANTED, "application/json", headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "ANSWER_NOT_KEPT")
    assert again.json()["facts"]["location"] == made["Location"]
    other = payer.post(TOP_UPS, WANTED | {"amount": 1}, "application/json", headers=headers)
    assert other.json()["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert TopUp.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"amount": 0}, "INVALID_INPUT", "amount"),
        ({"amount": -1}, "INVALID_INPUT", "amount"),
        ({"amount": MAX_AMOUNT + 1}, "INVALID_INPUT", "amount"),
        ({"amount": "19.99"}, "INVALID_INPUT", "amount"),
        ({"currency": "usd"}, "INVALID_INPUT", "currency"),
        ({"currency": "DOLLAR"}, "INVALID_INPUT", "currency"),
        ({"gateway": "stripe"}, "GATEWAY_NOT_OFFERED", "gateway"),
        ({"gateway": "x402"}, "GATEWAY_NOT_OFFERED", "gateway"),
        ({"gateway": "barter"}, "GATEWAY_NOT_OFFERED", "gateway"),
        ({"reason": "please"}, "INVALID_INPUT", "reason"),
    ],
)
def test_a_wrong_request_is_refused_and_records_nothing(payer, wrong, code, field):
    before = Event.objects.count()
    refused = payer.post(TOP_UPS, WANTED | wrong, "application/json")
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, code, field)
    if code == "GATEWAY_NOT_OFFERED":
        assert refused.json()["facts"] == {"offered": ["manual"]}
    assert Event.objects.count() == before


def test_top_ups_are_their_agents_alone(client, payer, requested, other_agent, client_with):
    _, publishing = other_agent("bob")
    bob = client_of(User.objects.get(username="bob"), WALLET_READ)
    assert bob.get(f"{TOP_UPS}/{requested.id}").status_code == 404
    assert bob.get(TOP_UPS).json()["results"] == []
    assert publishing.get(TOP_UPS).status_code == 403
    assert client.get(TOP_UPS).status_code == 401
    assert client_with(TOP_UPS_WRITE).get(TOP_UPS).status_code == 403
    assert client_with(WALLET_READ).post(TOP_UPS, WANTED, "application/json").status_code == 403
    for wrong in ("nothing", "%00", requested.id.upper()):
        assert payer.get(f"{TOP_UPS}/{wrong}").json()["code"] == "NOT_FOUND"


def test_the_list_is_paged_oldest_first(payer):
    made = [payer.post(TOP_UPS, WANTED, "application/json").json()["id"] for _ in range(3)]
    first = payer.get(TOP_UPS, {"limit": 2}).json()
    rest = payer.get(first["next"]).json()
    assert [each["id"] for each in (*first["results"], *rest["results"])] == made
    assert rest["next"] is None


def test_the_command_credits_a_wallet(agent, held):
    out = StringIO()
    call_command("top_up", agent.id, "2500", "USD", "--reason", "Cheque 12", stdout=out)
    assert out.getvalue().endswith("the wallet holds 2500 USD.\n")
    assert (held(), PaymentText.objects.get().text) == (2500, "Cheque 12")
    for wrong in (("nobody", "1", "USD"), (agent.id, "0", "USD"), (agent.id, "1", "usd")):
        with pytest.raises(CommandError):
            call_command("top_up", *wrong, "--reason", "x")
    assert held() == 2500
