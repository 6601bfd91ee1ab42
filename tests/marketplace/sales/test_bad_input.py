"""What goes wrong with a purchase has an error of its own over HTTP, and moves nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from latentmas.events.models import Event
from latentmas.protocol.certification import Tier
from latentmas.rest.scopes import PURCHASES_WRITE
from marketplace.accounts.commands import create_token
from marketplace.accounts.mandates import Mandate
from marketplace.ledger.models import Balance, LedgerTransfer
from marketplace.sales.models import Sale
from marketplace.sales.quotes import sealed
from tests.marketplace.sales.toys import Toys, bought, pay_in, quoted

pytestmark = pytest.mark.django_db
JSON = "application/json"


@contextmanager
def untouched() -> Iterator[None]:
    """Nothing is recorded, and no balance changes."""

    def state() -> Any:
        rows = sorted(Balance.objects.values_list("account", "amount"))
        return rows, LedgerTransfer.objects.count(), Sale.objects.count(), Event.objects.count()

    before = state()
    yield
    assert state() == before


def post(client: Client, token: str) -> Any:
    return client.post("/api/purchases", {"quote": token}, JSON)


def expect(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content


@pytest.fixture
def client(buyer: str, maker: str, shop: Callable[[str], Client]) -> Client:
    return shop("buyer")


def test_an_expired_quote(client: Client, buyer: str) -> None:
    late = replace(quoted(buyer).quote, expires_at=timezone.now() - timedelta(seconds=1))
    with untouched():
        expect(post(client, sealed(late)), 410, "QUOTE_EXPIRED")


def test_an_altered_quote(client: Client, buyer: str) -> None:
    token = quoted(buyer).token
    with untouched():
        expect(post(client, token[:40] + ("A" if token[40] != "A" else "B") + token[41:]), 422, "QUOTE_INVALID")


def test_an_item_that_was_withdrawn_after_its_quote(client: Client, buyer: str, toys: Toys) -> None:
    token = quoted(buyer).token
    toys.withdrawn.add("toy")
    with untouched():
        expect(post(client, token), 410, "ITEM_WITHDRAWN")


def test_ones_own_item(maker: str, shop: Callable[[str], Client]) -> None:
    with untouched():
        expect(shop("maker").post("/api/quotes", {"kind": "memory", "item": "toy"}, JSON), 409, "OWN_GOODS")


def test_a_wallet_in_another_currency_and_an_empty_one(
    maker: str, agent_of: Callable[[str], str], shop: Callable[[str], Client]
) -> None:
    agent = agent_of("swiss")
    token = quoted(agent).token
    with untouched():
        expect(post(shop("swiss"), token), 402, "INSUFFICIENT_FUNDS")
    pay_in(agent, 10_000, "CHF")
    with untouched():
        expect(post(shop("swiss"), token), 422, "WRONG_CURRENCY")


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"cap_per_item": 999}, "MANDATE_CAP_EXCEEDED"),
        ({"budget_per_day": 1_999}, "MANDATE_BUDGET_EXCEEDED"),
        ({"sellers": ("somebody",)}, "MANDATE_SELLER_NOT_ALLOWED"),
        ({"tiers": (Tier.GOLD,)}, "MANDATE_TIER_NOT_ALLOWED"),
        ({"currency": "EUR"}, "MANDATE_CURRENCY_NOT_ALLOWED"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "MANDATE_EXPIRED"),
    ],
)
def test_a_purchase_beyond_the_mandate(client: Client, buyer: str, limits: dict[str, Any], code: str) -> None:
    mandate = Mandate(**{"currency": "USD", **limits})
    secret = create_token(User.objects.get(username="buyer"), name="m", scopes=[PURCHASES_WRITE], mandate=mandate)[1]
    limited = Client(headers={"Authorization": f"Bearer {secret}"})
    if code == "MANDATE_BUDGET_EXCEEDED":
        assert post(limited, quoted(buyer).token).status_code == 201  # of 19.99 a day 9.99 are left
    token = quoted(buyer).token
    with untouched():
        expect(post(limited, token), 403, code)


def test_a_refund_of_more_than_is_left_and_a_file_after_the_whole(
    client: Client, buyer: str, shop: Callable[[str], Client]
) -> None:
    address = f"/api/purchases/{bought(buyer)}"
    seller = shop("maker")

    def refund(amount: int) -> Any:
        seen = {"If-Match": seller.get(address)["ETag"]}
        return seller.post(f"{address}/refund", {"amount": amount, "reason": "goodwill"}, JSON, headers=seen)

    with untouched():
        expect(refund(1_001), 422, "REFUND_TOO_LARGE")
    assert refund(600).status_code == 200
    with untouched():
        expect(refund(401), 422, "REFUND_TOO_LARGE")
    assert refund(400).status_code == 200
    with untouched():  # the licence has ended
        expect(client.get(f"{address}/file"), 410, "SALE_REFUNDED")


def test_a_second_use_with_one_quote(client: Client, buyer: str, toys: Toys) -> None:
    token = quoted(buyer).token
    first = post(client, token).json()
    with untouched():
        assert post(client, token).json() == first
    assert toys.prepared == [first["id"]]
