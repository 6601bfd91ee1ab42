"""What each group may do with disputes in the admin, and above all what it may not."""

from collections.abc import Callable

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client
from django.urls import reverse

from latentmas.events.models import Event
from marketplace.claims.models import Dispute, DisputeText
from tests.marketplace.claims.conftest import WORDS
from tests.marketplace.sales.toys import funds

pytestmark = pytest.mark.django_db
GROUPS = ("curator", "certifier", "support", "auditor")
LIST = "admin:claims_dispute_changelist"
Member = Callable[[str], Client]


def act(client: Client, row: Dispute, action: str, **typed: object) -> str:
    form = {"action": action, ACTION_CHECKBOX_NAME: [row.id], "apply": "yes"} | typed
    return client.post(f"{reverse(LIST)}?state=all", form, follow=True).content.decode()


@pytest.mark.parametrize("group", GROUPS)
def test_who_may_look(disputed: Callable[[], Dispute], member: Member, group: str) -> None:
    row, client = disputed(), member(group)
    sees = group != "certifier"
    for page in ("dispute", "acceptance"):
        assert client.get(reverse(f"admin:claims_{page}_changelist")).status_code == (200 if sees else 403)
    detail = client.get(reverse("admin:claims_dispute_change", args=[row.id]))
    assert detail.status_code == (200 if sees else 403)
    assert (WORDS in detail.content.decode()) is (group in ("curator", "support"))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("action", ["refund", "refund_part", "reject", "erase"])
def test_only_a_curator_decides(disputed: Callable[[], Dispute], member: Member, group: str, action: str) -> None:
    row, before = disputed(), Event.objects.count()
    act(member(group), row, action, reason="Because.", amount=100)
    row.refresh_from_db()
    decided = group == "curator" and action != "erase"  # what is undecided is not erased
    assert (row.status == "resolved", Event.objects.count() > before) == (decided, decided)
    assert DisputeText.objects.filter(text=WORDS).exists()


@pytest.mark.parametrize("group", GROUPS)
def test_nobody_edits_a_dispute_by_hand(disputed: Callable[[], Dispute], member: Member, group: str) -> None:
    row, client = disputed(), member(group)
    for verb in ("change", "delete"):
        address = reverse(f"admin:claims_dispute_{verb}", args=[row.id])
        assert client.post(address, {"status": "resolved", "post": "yes"}).status_code == 403
    assert client.get(reverse("admin:claims_dispute_add")).status_code == 403


def test_the_queue_has_what_waits(disputed: Callable[[], Dispute], member: Member) -> None:
    row, client = disputed(), member("curator")
    assert row.id in client.get(reverse(LIST)).content.decode()
    assert row.id not in client.get(reverse(LIST), {"state": "ended"}).content.decode()
    act(client, row, "reject", reason="It can be read.")
    assert row.id not in client.get(reverse(LIST)).content.decode()
    assert row.id in client.get(reverse(LIST), {"state": "ended"}).content.decode()


def test_a_curator_reads_the_complaint_before_deciding(disputed: Callable[[], Dispute], member: Member) -> None:
    form = {"action": "refund", ACTION_CHECKBOX_NAME: [disputed().id]}
    page = member("curator").post(reverse(LIST), form).content.decode()
    assert WORDS in page
    assert 'name="reason"' in page


def test_a_part_goes_back_for_a_reason(disputed: Callable[[], Dispute], member: Member, buyer: str) -> None:
    row, client = disputed(), member("curator")
    assert "This field is required" in act(client, row, "refund_part", amount=300)
    assert "1000 of 1000 are left" in act(client, row, "refund_part", amount=2_000, reason="Half of it works.")
    assert funds(buyer) == 9_000
    act(client, row, "refund_part", amount=300, reason="Half of it works.")
    row.refresh_from_db()
    assert (row.outcome, row.refunded, funds(buyer)) == ("partly-refunded", 300, 9_300)
    act(client, row, "erase")
    assert not DisputeText.objects.exists()
