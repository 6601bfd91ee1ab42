"""Money in the admin: what each group sees and does, and above all what it may not."""

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from latentmas.events.models import Event
from latentmas.protocol.money import Money
from marketplace.ledger.models import Balance
from marketplace.payments.models import PaymentText, Payout, TopUp
from marketplace.payments.payout_commands import approve_payout, request_payout
from tests.marketplace.payments.conftest import CURATOR

pytestmark = pytest.mark.django_db
GROUPS = ("curator", "certifier", "support", "auditor")
PAGES = ("ledger_balance", "ledger_ledgertransfer", "payments_topup", "payments_payout")
IBAN = "DE02 1203 0000 0000 2020 51"


@pytest.fixture
def waiting(payer, agent, funded):
    """An open top-up, and a payout that is requested, one that is approved."""
    made = payer.post("/api/top-ups", {"amount": 50, "currency": "USD", "gateway": "manual"}, "application/json")
    first, second = (request_payout(agent, Money(10, "USD"), destination=IBAN, metadata=CURATOR) for _ in range(2))
    approve_payout(Payout.objects.get(id=second), reason="Checked.", metadata=CURATOR)
    return {"open": made.json()["id"], "credited": funded, "requested": first, "approved": second}


# Each action: its list, the row it is done to, and the status it leads to.
ACTIONS = {
    "credit": ("payments_topup", "open", "credited"),
    "fail": ("payments_topup", "open", "failed"),
    "charge_back": ("payments_topup", "credited", "charged-back"),
    "approve": ("payments_payout", "requested", "approved"),
    "mark_paid": ("payments_payout", "approved", "paid"),
    "refuse": ("payments_payout", "approved", "refused"),
}


def act(client: Client, page: str, action: str, key: str, **form: str):
    sent = {"action": action, ACTION_CHECKBOX_NAME: [key], **form}
    return client.post(reverse(f"admin:{page}_changelist"), sent)


def status_of(key: str) -> str:
    return (TopUp.objects.filter(id=key).first() or Payout.objects.get(id=key)).status


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("group", GROUPS)
def test_all_but_certifiers_see_the_money(member, waiting, group, page):
    answer = member(group).get(reverse(f"admin:{page}_changelist"))
    assert answer.status_code == (403 if group == "certifier" else 200)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("action", ACTIONS)
def test_only_curators_decide(member, waiting, group, action):
    page, which, becomes = ACTIONS[action]
    before, count = status_of(waiting[which]), Event.objects.count()
    act(member(group), page, action, waiting[which], apply="yes", reason="Because.")
    assert status_of(waiting[which]) == (becomes if group == "curator" else before)
    if group != "curator":
        assert Event.objects.count() == count
    else:
        assert PaymentText.objects.filter(text="Because.").count() == 1


def test_an_action_asks_for_its_reason_first(member, waiting):
    curator = member("curator")
    asked = act(curator, "payments_payout", "approve", waiting["requested"])
    assert asked.status_code == 200
    assert IBAN in asked.content.decode()
    empty = act(curator, "payments_payout", "approve", waiting["requested"], apply="yes", reason=" ")
    assert "This field is required" in empty.content.decode()
    assert status_of(waiting["requested"]) == "requested"


def test_an_action_on_several_rows_does_all_or_none(member, waiting):
    keys = [waiting["requested"], waiting["approved"]]
    form = {"action": "approve", ACTION_CHECKBOX_NAME: keys, "apply": "yes", "reason": "Checked."}
    answer = member("curator").post(reverse("admin:payments_payout_changelist"), form)
    assert "the payout of 10 USD is approved" in answer.content.decode()
    assert [status_of(each) for each in keys] == ["requested", "approved"]


def test_a_curator_does_not_decide_about_his_own_money(member, waiting, agent, alice):
    alice.is_staff = True
    alice.save()
    alice.groups.add(Group.objects.get(name="curator"))
    client = Client()
    client.force_login(alice)
    answer = act(client, "payments_payout", "approve", waiting["requested"], apply="yes", reason="Mine.")
    assert "you act for the agent" in answer.content.decode()
    assert status_of(waiting["requested"]) == "requested"


def test_a_destination_is_read_by_curators_alone(member, waiting):
    address = reverse("admin:payments_payout_change", args=[waiting["requested"]])
    assert IBAN in member("curator").get(address).content.decode()
    for group in ("support", "auditor"):
        page = member(group).get(address)
        assert page.status_code == 200
        assert IBAN not in page.content.decode()


def test_a_curator_credits_a_wallet_by_hand(member, agent, held):
    form = {"agent_id": agent.id, "amount": "700", "currency": "USD", "reason": "Transfer 12."}
    curator = member("curator")
    done = curator.post(reverse("admin:payments_topup_add"), form, follow=True)
    assert done.status_code == 200
    assert (held(), TopUp.objects.get().status, PaymentText.objects.get().text) == (700, "credited", "Transfer 12.")
    for wrong in ({"agent_id": "nobody"}, {"amount": "0"}, {"currency": "usd"}, {"reason": ""}):
        assert curator.post(reverse("admin:payments_topup_add"), form | wrong).status_code == 200
    assert (held(), TopUp.objects.count()) == (700, 1)


@pytest.mark.parametrize("group", GROUPS)
def test_no_group_changes_or_deletes_rows_by_hand(member, waiting, group):
    client = member(group)
    rows = {
        "ledger_balance": Balance.objects.first().pk,
        "payments_topup": waiting["open"],
        "payments_payout": waiting["requested"],
    }
    for page, key in rows.items():
        for verb in ("change", "delete"):
            assert client.post(reverse(f"admin:{page}_{verb}", args=[key]), {"post": "yes"}).status_code == 403
    for page in (*PAGES[:2], "payments_payout", *(() if group == "curator" else ("payments_topup",))):
        assert client.get(reverse(f"admin:{page}_add")).status_code == 403


def test_what_was_written_about_a_payout_that_has_ended_is_erased(member, waiting):
    curator = member("curator")
    act(curator, "payments_payout", "erase", waiting["requested"])
    assert PaymentText.objects.filter(stream=f"payout/{waiting['requested']}").count() == 1
    act(curator, "payments_payout", "refuse", waiting["requested"], apply="yes", reason="No.")
    act(curator, "payments_payout", "erase", waiting["requested"])
    assert not PaymentText.objects.filter(stream=f"payout/{waiting['requested']}").exists()
