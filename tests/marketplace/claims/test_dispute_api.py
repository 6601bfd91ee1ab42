"""Disputes over HTTP: each party sees its side and takes its steps, and strangers see nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from latentmas.events.changes import read_changes
from latentmas.rest.scopes import MEMORIES_READ
from marketplace.claims.models import Dispute
from marketplace.sales.models import Sale
from tests.marketplace.claims.conftest import WORDS
from tests.marketplace.conftest import client_of
from tests.marketplace.sales.toys import funds

pytestmark = pytest.mark.django_db
JSON = "application/json"
COMPLAINT = {"kind": "defective", "text": WORDS}
Shop = Callable[[str], Client]


@pytest.fixture
def client(sale: Sale, shop: Shop) -> Client:
    return shop("buyer")


@pytest.fixture
def seller(sale: Sale, shop: Shop) -> Client:
    return shop("maker")


@pytest.fixture
def opened(client: Client, sale: Sale) -> dict[str, Any]:
    answer = client.post("/api/disputes", COMPLAINT | {"purchase": sale.id}, JSON)
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def step(client: Client, row: dict[str, Any], verb: str, **body: str) -> Any:
    headers = {"If-Match": f'"{row["stream_version"]}"'}
    return client.post(f"{row['url']}/{verb}", body or None, JSON, headers=headers)


def test_a_buyer_opens_a_dispute(client: Client, opened: dict[str, Any], sale: Sale, maker: str) -> None:
    assert (opened["id"], opened["status"], opened["text"]) == (sale.id, "open", WORDS)
    assert opened["amount"] == {"amount": 1000, "currency": "USD"}
    assert (opened["reserved"], opened["answer"], opened["outcome"], opened["refunded"]) == (None, None, None, None)
    assert funds(maker) == 0
    got = client.get(opened["url"])
    assert (got.json(), got["ETag"], got["Cache-Control"]) == (opened, '"2"', "private, no-store")
    assert client.get(f"{opened['purchase']}/dispute").json() == opened


def test_a_dispute_is_opened_at_the_purchase_too(client: Client, sale: Sale) -> None:
    answer = client.post(f"/api/purchases/{sale.id}/dispute", COMPLAINT, JSON)
    assert (answer.status_code, answer["Location"]) == (201, f"/api/disputes/{sale.id}")
    again = client.post(f"/api/purchases/{sale.id}/dispute", COMPLAINT, JSON)
    assert (again.status_code, again.json()["code"]) == (409, "DISPUTE_EXISTS")


def test_the_same_request_again_is_answered_again(client: Client, sale: Sale) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = (client.post(f"/api/purchases/{sale.id}/dispute", COMPLAINT, JSON, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()


def test_the_seller_sees_what_is_set_aside_and_answers(seller: Client, client: Client, opened: dict[str, Any]) -> None:
    seen = seller.get(opened["url"]).json()
    assert (seen["reserved"], seen["text"]) == ({"amount": 800, "currency": "USD"}, WORDS)
    answered = step(seller, seen, "answer", text="It can.")
    assert (answered.status_code, answered.json()["status"]) == (200, "answered")
    assert client.get(opened["url"]).json()["answer"] == "It can."
    late = step(seller, seen, "answer", text="It can!")
    assert (late.status_code, late.json()["code"]) == (412, "VERSION_CONFLICT")


def test_the_buyer_withdraws(client: Client, opened: dict[str, Any], maker: str) -> None:
    gone = step(client, opened, "withdraw")
    assert (gone.status_code, gone.json()["status"], funds(maker)) == (200, "withdrawn", 800)
    again = step(client, gone.json(), "withdraw")
    assert (again.status_code, again.json()["code"]) == (409, "DISPUTE_CLOSED")


def test_a_step_needs_the_version_it_has_seen(client: Client, opened: dict[str, Any]) -> None:
    answer = client.post(f"{opened['url']}/withdraw")
    assert (answer.status_code, answer.json()["code"]) == (428, "PRECONDITION_REQUIRED")


def test_a_step_of_the_other_party_is_refused(client: Client, seller: Client, opened: dict[str, Any]) -> None:
    for party, verb, body in ((client, "answer", {"text": "Yes."}), (seller, "withdraw", {})):
        answer = step(party, opened, verb, **body)
        assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    answer = seller.post("/api/disputes", COMPLAINT | {"purchase": opened["id"]}, JSON)
    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")


def test_each_party_lists_its_own(client: Client, seller: Client, opened: dict[str, Any]) -> None:
    assert client.get("/api/disputes").json()["results"] == [opened]
    assert client.get("/api/disputes?sold=true").json()["results"] == []
    (sold,) = seller.get("/api/disputes?sold=true&limit=1").json()["results"]
    assert (sold["id"], sold["reserved"]["amount"]) == (opened["id"], 800)


def test_strangers_see_nothing(opened: dict[str, Any], shop: Shop, agent_of: Callable[[str], str]) -> None:
    agent_of("stranger")
    stranger = shop("stranger")
    for address in (opened["url"], f"{opened['purchase']}/dispute", "/api/disputes/%00"):
        assert stranger.get(address).status_code == 404
    assert Client().get(opened["url"]).status_code == 401
    assert step(stranger, opened, "withdraw").status_code == 404
    assert stranger.post(f"{opened['purchase']}/dispute", COMPLAINT, JSON).status_code == 404
    assert stranger.get("/api/disputes").json()["results"] == []


def test_a_token_without_the_scope_is_refused(sale: Sale, django_user_model: Any) -> None:
    reader = client_of(django_user_model.objects.get(username="buyer"), MEMORIES_READ)
    assert reader.get("/api/disputes").status_code == 403


def test_after_two_weeks_it_is_too_late(client: Client, sale: Sale) -> None:
    assert sale.captured_at is not None
    Sale.objects.filter(id=sale.id).update(captured_at=sale.captured_at - timedelta(days=15))
    answer = client.post(f"/api/purchases/{sale.id}/dispute", COMPLAINT, JSON)
    assert (answer.status_code, answer.json()["code"]) == (409, "DISPUTE_TOO_LATE")
    assert not Dispute.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "ugly"}, "kind"),
        ({"kind": None}, "kind"),
        ({"text": ""}, "text"),
        ({"text": "x" * 4_001}, "text"),
        ({"amount": 1}, "amount"),
    ],
)
def test_a_malformed_complaint_is_refused(client: Client, sale: Sale, change: dict[str, Any], field: str) -> None:
    answer = client.post(f"/api/purchases/{sale.id}/dispute", COMPLAINT | change, JSON)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_both_parties_hear_of_it_and_nobody_else(opened: dict[str, Any]) -> None:
    for viewer, hears in ((opened["buyer"], True), (opened["seller"], True), ("somebody", False)):
        page = read_changes(after=0, types=["dispute.opened"], viewer=frozenset({viewer}))
        assert bool(page.changes) is hears
