"""Quotes and purchases over HTTP: each party sees its side, and strangers see nothing."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.verification.envelopes import open_envelope
from latentmas.rest.scopes import MEMORIES_READ, PURCHASES_WRITE
from latentmas.transparency.tasks import seal_log
from marketplace.accounts.commands import create_token
from marketplace.accounts.mandates import Mandate
from marketplace.agents.models import Agent
from marketplace.sales.commands import Buyer, open_sale
from marketplace.sales.models import Sale
from marketplace.sales.receipts import PAYLOAD_TYPE
from tests.marketplace.conftest import client_of
from tests.marketplace.sales.toys import CONTENT, FACTORS, TEST, Toys, funds, quoted

pytestmark = pytest.mark.django_db
JSON = "application/json"
TOY = {"kind": "memory", "item": "toy"}


@pytest.fixture
def client(buyer: str, maker: str, shop: Callable[[str], Client]) -> Client:
    return shop("buyer")


@pytest.fixture
def seller(maker: str, shop: Callable[[str], Client]) -> Client:
    return shop("maker")


def quote(client: Client, **wanted: Any) -> dict[str, Any]:
    answer = client.post("/api/quotes", TOY | wanted, JSON)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def purchase(client: Client) -> dict[str, Any]:
    answer = client.post("/api/purchases", {"quote": quote(client)["quote"]}, JSON)
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def test_a_quote_shows_how_its_price_comes_about(client: Client, maker: str, buyer: str, toys: Toys) -> None:
    toys.put(seller=maker, factors=FACTORS, discount=10)
    made = quote(client, delivery={"form": "raw"})
    assert made["price"] == {"amount": 1463, "currency": "USD"}
    assert made["breakdown"]["terms"][0] == {
        "name": "tokens",
        "weight": "0.3",
        "factor": "0.586307",
        "adds": "0.1758921",
    }
    assert (made["breakdown"]["before_discount"], made["breakdown"]["discount"]) == ("1625.89210000", 10)
    assert [share["amount"] for share in made["shares"]] == [1170, 220, 73]
    assert (made["buyer"], made["seller"], made["delivery"]["form"], made["configuration"]) == (buyer, maker, "raw", 0)


def test_a_purchase_answers_with_what_was_bought(client: Client, buyer: str, toys: Toys) -> None:
    toys.answer = {"report": {"quality": 0.93, "findings": ["a stranger's memory"]}, "tokens": 12}
    bought = client.post("/api/purchases", {"quote": quote(client)["quote"]}, JSON)
    document = bought.json()
    assert (bought.status_code, bought["Location"], bought["ETag"]) == (201, document["url"], '"4"')
    assert (document["status"], document["price"]["amount"], document["tokens"]) == ("captured", 1000, 12)
    assert document["report"] == {"quality": "0.93", "findings": ["a stranger's memory"]}
    file = client.get(document["file"]["url"])
    assert b"".join(file) == CONTENT
    assert file["Cache-Control"] == "private, no-store"


def test_the_same_purchase_again_is_answered_again(client: Client, buyer: str) -> None:
    body = {"quote": quote(client)["quote"]}
    first, again = (client.post("/api/purchases", body, JSON) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    key = {"Idempotency-Key": "one"}
    replays = [client.post("/api/purchases", {"quote": quote(client)["quote"]}, JSON, headers=key) for _ in range(1)]
    assert replays[0].status_code == 201
    assert funds(buyer) == 8_000


def test_the_error_of_preparing_is_the_buyers_answer(client: Client, buyer: str, toys: Toys) -> None:
    def fail(sale: str) -> None:
        raise QualityBelowThreshold("the map loses too much")

    toys.work = fail
    answer = client.post("/api/purchases", {"quote": quote(client)["quote"]}, JSON)
    assert (answer.status_code, answer.json()["code"], funds(buyer)) == (422, "QUALITY_BELOW_THRESHOLD", 10_000)
    (listed,) = client.get("/api/purchases").json()["results"]
    assert (listed["status"], listed["void"], listed["void_code"]) == (
        "voided",
        "not-prepared",
        "QUALITY_BELOW_THRESHOLD",
    )
    file = client.get(f"{listed['url']}/file")
    assert (file.status_code, file.json()["code"]) == (409, "SALE_NOT_CAPTURED")
    assert client.get(f"{listed['url']}/receipt").json()["code"] == "SALE_NOT_CAPTURED"


def test_an_empty_wallet_is_402(shop: Callable[[str], Client], agent_of: Callable[[str], str], maker: str) -> None:
    agent_of("poor")
    poor = shop("poor")
    answer = poor.post("/api/purchases", {"quote": quote(poor)["quote"]}, JSON)
    assert (answer.status_code, answer.json()["code"]) == (402, "INSUFFICIENT_FUNDS")
    assert answer.json()["facts"]["needed"] == {"amount": 1000, "currency": "USD"}


def test_the_seller_sees_his_side_and_not_what_was_delivered(client: Client, seller: Client, buyer: str) -> None:
    url = purchase(client)["url"]
    seen = seller.get(url).json()
    assert (seen["buyer"], seen["shares"][0]["amount"]) == (buyer, 800)
    assert (seen["file"], seen["delivery"], seen["tokens"], seen["report"]) == (None, None, None, None)
    assert seller.get(f"{url}/file").status_code == 404
    assert [row["id"] for row in seller.get("/api/purchases?sold=true").json()["results"]] == [seen["id"]]
    assert seller.get("/api/purchases").json()["results"] == []


def test_strangers_see_nothing(client: Client, shop: Callable[[str], Client], agent_of: Callable[[str], str]) -> None:
    url = purchase(client)["url"]
    agent_of("stranger")
    stranger = shop("stranger")
    for address in (url, f"{url}/file", f"{url}/receipt"):
        assert stranger.get(address).status_code == 404
        assert Client().get(address).status_code == 401
    refused = stranger.post(f"{url}/refund", {"reason": "goodwill"}, JSON, headers={"If-Match": '"4"'})
    assert refused.status_code == 404
    assert stranger.get("/api/purchases/%00").status_code == 404


def test_a_token_without_the_scope_or_an_agent_is_refused(buyer: str, maker: str) -> None:
    login = User.objects.get(username="buyer")
    assert client_of(login, MEMORIES_READ).post("/api/quotes", TOY, JSON).status_code == 403
    nobody = client_of(User.objects.create_user("nobody"), PURCHASES_WRITE)
    answer = nobody.post("/api/quotes", TOY, JSON)
    assert (answer.status_code, answer.json()["code"]) == (409, "AGENT_REQUIRED")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        (TOY | {"kind": "yacht"}, "kind"),
        ({"kind": "memory"}, "item"),
        (TOY | {"price": 1}, "price"),
        (TOY | {"delivery": {"form": "by post"}}, "delivery.form"),
        (TOY | {"delivery": {"minimum_retention": 2}}, "delivery.minimum_retention"),
        (TOY | {"delivery": {"after_step": 0}}, "delivery.after_step"),
        (TOY | {"delivery": {"target_weights": "x"}}, "delivery.target_weights"),
        (TOY | {"delivery": {"colour": "red"}}, "delivery.colour"),
    ],
)
def test_a_malformed_request_for_a_quote_is_refused(client: Client, body: dict[str, Any], field: str) -> None:
    answer = client.post("/api/quotes", body, JSON)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_token_buys_within_its_mandate(buyer: str, maker: str) -> None:
    login = User.objects.get(username="buyer")
    _, secret = create_token(login, name="m", scopes=[PURCHASES_WRITE], mandate=Mandate("USD", budget_per_day=1_500))
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    purchase(client)
    refused = client.post("/api/purchases", {"quote": quote(client)["quote"]}, JSON)
    assert (refused.status_code, refused.json()["code"]) == (403, "MANDATE_BUDGET_EXCEEDED")
    assert funds(buyer) == 9_000


def test_lists_go_on_before_the_last_one(client: Client) -> None:
    made = [purchase(client)["id"] for _ in range(3)]
    first = client.get("/api/purchases?limit=2").json()["results"]
    rest = client.get("/api/purchases", {"before": first[-1]["opened_at"]}).json()["results"]
    assert [row["id"] for row in first + rest] == made[::-1]


def test_the_seller_refunds_with_if_match_and_only_once_a_key(client: Client, seller: Client, buyer: str) -> None:
    url = purchase(client)["url"]
    body = {"amount": 400, "reason": "goodwill"}
    assert seller.post(f"{url}/refund", body, JSON).status_code == 428
    headers = {"If-Match": '"4"', "Idempotency-Key": "refund"}
    answers = [seller.post(f"{url}/refund", body, JSON, headers=headers) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 200]
    assert funds(buyer) == 9_400
    assert seller.post(f"{url}/refund", body, JSON, headers={"If-Match": '"4"'}).status_code == 412
    late = seller.post(f"{url}/refund", {"amount": 601, "reason": "goodwill"}, JSON, headers={"If-Match": '"6"'})
    assert (late.status_code, late.json()["code"]) == (422, "REFUND_TOO_LARGE")
    assert client.get(url).json()["refunded"] == {"amount": 400, "currency": "USD"}


def test_the_buyer_cannot_refund_himself(client: Client, buyer: str) -> None:
    url = purchase(client)["url"]
    answer = client.post(f"{url}/refund", {"reason": "goodwill"}, JSON, headers={"If-Match": '"4"'})
    assert (answer.status_code, funds(buyer)) == (403, 9_000)


def test_a_curator_refunds_and_sees_any_sale(client: Client, curator: Client, buyer: str) -> None:
    url = purchase(client)["url"]
    assert curator.get(url).json()["file"] is None
    assert curator.post(f"{url}/refund", {"reason": "dispute"}, JSON, headers={"If-Match": '"4"'}).status_code == 200
    assert funds(buyer) == 10_000
    file = client.get(f"{url}/file")
    assert (file.status_code, file.json()["code"]) == (410, "SALE_REFUNDED")


def test_a_receipt_holds_offline_and_its_event_stands_in_the_log(client: Client, seller: Client, buyer: str) -> None:
    made = purchase(client)
    receipt = client.get(f"{made['url']}/receipt").json()
    assert receipt == client.get(f"{made['url']}/receipt").json() == seller.get(f"{made['url']}/receipt").json()
    keys = {
        key["key_id"]: base64.b64decode(key["public_key"])
        for key in client.get("/api/log/keys").json()["keys"]
        if key["purpose"] == "receipt"
    }
    said = json.loads(open_envelope(receipt["envelope"], keys, payload_type=PAYLOAD_TYPE))
    assert (said["sale"], said["buyer"], said["price"]) == (made["id"], buyer, {"amount": 1000, "currency": "USD"})
    assert sum(share["amount"] for share in said["shares"]) == 1000
    seal_log()
    proof = client.get("/api/log/proof", {"position": receipt["position"]}).json()
    assert proof["event"] is None  # the public does not see it


def test_a_receipt_says_what_was_refunded(client: Client, seller: Client) -> None:
    url = purchase(client)["url"]
    seller.post(f"{url}/refund", {"amount": 100, "reason": "defective"}, JSON, headers={"If-Match": '"4"'})
    payload = client.get(f"{url}/receipt").json()["envelope"]["payload"]
    (refund,) = json.loads(base64.b64decode(payload))["refunds"]
    assert (refund["amount"], refund["reason"]) == (100, "defective")


def test_without_a_key_there_is_no_receipt_but_the_sale_stands(client: Client, settings: Settings) -> None:
    url = purchase(client)["url"]
    settings.RECEIPT_SIGNING_KEY = None
    answer = client.get(f"{url}/receipt")
    assert (answer.status_code, answer.json()["code"]) == (503, "SIGNING_KEY_MISSING")
    assert client.get(url).status_code == 200


def test_an_open_purchase_has_no_file_yet(client: Client, buyer: str) -> None:
    made = quoted(buyer)
    open_sale(made.quote, Buyer(buyer), at=timezone.now(), metadata=TEST)
    assert client.get(f"/api/purchases/{made.quote.id}").json()["status"] == "open"
    assert client.get(f"/api/purchases/{made.quote.id}/file").status_code == 409
    again = client.post("/api/purchases", {"quote": made.token}, JSON)
    assert (again.status_code, again["Retry-After"], again.json()["code"]) == (409, "5", "SALE_IN_PROGRESS")


def test_own_goods_of_another_agent_of_the_login_are_refused(seller: Client, maker: str) -> None:
    answer = seller.post("/api/quotes", TOY, JSON)
    assert (answer.status_code, answer.json()["code"]) == (409, "OWN_GOODS")
    assert (Sale.objects.count(), Agent.objects.count()) == (0, 1)
