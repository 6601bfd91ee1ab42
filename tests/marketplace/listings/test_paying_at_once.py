"""A W-Matrix with a price is paid by x402 where it is downloaded or applied: bought once, and then one's own."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from latentmas.protocol.money import Money
from latentmas.protocol.snapshot import read_snapshot, write_snapshot
from latentmas.rest.scopes import KV_CACHE_COMPUTE, PURCHASES_WRITE, TOP_UPS_WRITE, VECTORS_ALIGN
from marketplace.accounts.commands import create_token
from marketplace.accounts.mandates import Mandate
from marketplace.agents.commands import Profile, register_agent
from marketplace.listings.lifecycle.commands import By, change_price
from marketplace.payments.models import TopUp
from marketplace.sales.models import Sale
from tests.marketplace import sample
from tests.marketplace.conftest import client_of
from tests.marketplace.exchange.sample import certified_listing, memory
from tests.marketplace.exchange.vector_sample import vector_listing
from tests.marketplace.payments.gateways.facilitator import Facilitator
from tests.marketplace.payments.gateways.test_stripe_intents import reconciled
from tests.marketplace.payments.gateways.wallets import header, signed
from tests.marketplace.sales.toys import TEST, funds, pay_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("facilitator")]
PRICE = 1999


@pytest.fixture
def listing(registry: None, seller: str) -> str:
    return listed(seller, 1)


@pytest.fixture
def bob(db: None) -> str:
    """An agent without money."""
    return register_agent(User.objects.create_user("bob"), Profile("bob-agent", "Bob"), metadata=TEST).id


@pytest.fixture
def shopper(bob: str) -> Client:
    return client_of(User.objects.get(username="bob"), PURCHASES_WRITE)


def listed(seller: str, number: int) -> str:
    return sample.make_listing(
        quality=sample.functional(),
        at=timezone.now(),
        listing_id=sample.listing_id_for_seller(f"{seller}{number}"),
        seller=seller,
        price=Money(PRICE, "USD"),
    )


def file(client: Client, listing: str, payment: str | None = None, *, method: str = "get") -> Any:
    headers = {} if payment is None else {"PAYMENT-SIGNATURE": payment}
    return getattr(client, method)(f"/api/w-matrices/{listing}/versions/1.0.0/file", headers=headers)


def payment_for(answer: Any) -> str:
    return header(signed(answer["PAYMENT-REQUIRED"]))


def test_a_download_is_bought_by_the_payment_that_comes_with_it(
    listing: str,
    shopper: Client,
    bob: str,
    seller: str,
    facilitator: Facilitator,
) -> None:
    asked = file(shopper, listing)
    assert asked.json()["facts"]["accepts"] == ["wallet", "x402"]
    payment = payment_for(asked)
    assert file(shopper, listing, payment, method="head").status_code == 402  # a HEAD buys nothing
    got = file(shopper, listing, payment)
    assert (got.status_code, got["X-LatentMAS-Basis"], "PAYMENT-RESPONSE" in got) == (200, "functional", True)
    assert (Sale.objects.get().price, funds(bob), funds(seller)) == (PRICE, 0, 1599)
    for again in (file(shopper, listing, payment), file(shopper, listing)):
        assert (again.status_code, "PAYMENT-RESPONSE" in again) == (200, False)
    assert len(facilitator.transfers) == 1


def test_an_authorisation_buys_one_file(listing: str, shopper: Client, bob: str, seller: str) -> None:
    payment = payment_for(file(shopper, listing))
    file(shopper, listing, payment)
    pay_in(bob, PRICE)
    replayed = file(shopper, listed(seller, 2), payment)
    assert (replayed.status_code, replayed.json()["code"]) == (409, "PAYMENT_REPLAYED")
    assert (Sale.objects.count(), funds(bob)) == (1, PRICE)


def test_an_authorisation_that_was_sent_to_fill_the_wallet_buys_nothing(
    listing: str, bob: str, facilitator: Facilitator
) -> None:
    client = client_of(User.objects.get(username="bob"), PURCHASES_WRITE, TOP_UPS_WRITE)
    payment = payment_for(file(client, listing))
    top_up = {"amount": PRICE, "currency": "USD", "gateway": "x402"}
    headers = {"PAYMENT-SIGNATURE": payment}
    assert client.post("/api/top-ups", top_up, "application/json", headers=headers).status_code == 201
    replayed = file(client, listing, payment)
    assert (replayed.status_code, replayed.json()["code"]) == (409, "PAYMENT_REPLAYED")
    assert (Sale.objects.count(), funds(bob)) == (0, PRICE)


def test_a_download_whose_settlement_is_unknown_is_served_once_it_is_known(
    listing: str,
    shopper: Client,
    bob: str,
    facilitator: Facilitator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payment = payment_for(file(shopper, listing))
    facilitator.silent, facilitator.after = {"/settle"}, True
    for sent in (payment, payment, None):
        waiting = file(shopper, listing, sent)
        assert (waiting.status_code, waiting.json()["code"]) == (409, "PAYMENT_UNSETTLED")
    facilitator.silent = set()
    assert reconciled() == {"credited": 1}
    asked = file(shopper, listing)
    assert (asked.status_code, "PAYMENT-REQUIRED" in asked) == (402, False)  # the wallet covers it: nobody pays again
    monkeypatch.setattr("marketplace.payments.gateways.x402_terms.time.time", lambda: 4e9)  # the authorisation is over
    assert file(shopper, listing, payment).status_code == 200
    assert (Sale.objects.count(), funds(bob), len(facilitator.transfers)) == (1, 0, 1)


def test_only_who_may_buy_is_asked_for_a_payment(
    listing: str,
    shopper: Client,
    publisher: Client,
    bob: str,
    client: Client,
    facilitator: Facilitator,
) -> None:
    payment = payment_for(file(shopper, listing))
    user = User.objects.get(username="bob")
    unable = client_of(user, VECTORS_ALIGN)
    homeless = client_of(User.objects.create_user("nobody"), PURCHASES_WRITE)
    for each, status, code in (
        (client, 401, "NOT_AUTHENTICATED"),
        (unable, 403, "PERMISSION_DENIED"),
        (homeless, 409, "AGENT_REQUIRED"),
    ):
        asked = file(each, listing)
        assert (asked.status_code, "PAYMENT-REQUIRED" in asked) == (402, False)
        assert asked.json()["facts"]["accepts"] == ["wallet"]
        refused = file(each, listing, payment)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert (facilitator.transfers, Sale.objects.count()) == ([], 0)


def test_what_a_mandate_refuses_is_not_paid(
    listing: str,
    shopper: Client,
    bob: str,
    facilitator: Facilitator,
) -> None:
    user, limits = User.objects.get(username="bob"), Mandate("USD", cap_per_item=PRICE - 1)
    secret = create_token(user, name="m", scopes=[PURCHASES_WRITE], mandate=limits)[1]
    limited = Client(headers={"Authorization": f"Bearer {secret}"})
    refused = file(limited, listing, payment_for(file(shopper, listing)))
    assert (refused.status_code, refused.json()["code"]) == (403, "MANDATE_CAP_EXCEEDED")
    assert (facilitator.transfers, TopUp.objects.count(), Sale.objects.count()) == ([], 0, 0)


def test_a_price_in_another_currency_is_not_x402s(listing: str, shopper: Client, seller: str) -> None:
    change_price(listing, price=Money(PRICE, "EUR"), by=By(seller, sample.METADATA))
    asked = file(shopper, listing)
    assert (asked.status_code, "PAYMENT-REQUIRED" in asked, asked.json()["facts"]["accepts"]) == (
        402,
        False,
        ["wallet"],
    )


def test_vectors_are_aligned_by_a_w_matrix_that_is_paid_at_once(
    registry: None,
    bob: str,
    seller: str,
    monkeypatch: pytest.MonkeyPatch,
    facilitator: Facilitator,
) -> None:
    listing = vector_listing(at=timezone.now(), seller=seller)
    change_price(listing, price=Money(500, "USD"), by=By(seller, sample.METADATA))
    client = client_of(User.objects.get(username="bob"), VECTORS_ALIGN, PURCHASES_WRITE)
    body = {"source_model": sample.SOURCE, "target_model": sample.TARGET, "vector": [0.5, -1.0, 2.0, 0.0, 1.5, -0.25]}

    def align(payment: str | None = None) -> Any:
        headers = {} if payment is None else {"PAYMENT-SIGNATURE": payment}
        return client.post("/api/latentmas/vectors/align", body, "application/json", headers=headers)

    body["minimum_quality"] = 0.99  # which nobody can know to be too much before it is bought
    failed = align(payment_for(align()))
    assert (failed.status_code, failed.json()["code"]) == (422, "QUALITY_BELOW_THRESHOLD")
    assert failed.json()["facts"]["paid"]["purchase"] == f"/api/purchases/{Sale.objects.get().id}"
    del body["minimum_quality"]
    assert "PAYMENT-RESPONSE" in failed
    aligned = align()
    assert (aligned.status_code, len(aligned.json()["aligned_vector"])) == (200, 4)
    assert (Sale.objects.get().item, len(facilitator.transfers)) == (listing, 1)


def test_a_memory_in_the_body_is_aligned_in_the_request_that_pays(
    registry: None, bob: str, facilitator: Facilitator
) -> None:
    listing = certified_listing(at=timezone.now(), quality=sample.with_suite())
    change_price(listing, price=Money(500, "USD"), by=By("agent:test", sample.METADATA))
    client = client_of(User.objects.get(username="bob"), KV_CACHE_COMPUTE, PURCHASES_WRITE)
    address = f"/api/latentmas/kv-cache/align?target_model={sample.TARGET}"
    data, accept = write_snapshot(memory(9)), {"Accept": "application/vnd.safetensors"}

    def align(**headers: str) -> Any:
        return client.post(address, data, "application/vnd.safetensors", headers=accept | headers)

    aligned = align(**{"PAYMENT-SIGNATURE": payment_for(align())})
    assert (aligned.status_code, "PAYMENT-RESPONSE" in aligned) == (200, True), aligned.content
    assert read_snapshot(aligned.content)[0].frame.model == sample.TARGET
    assert (Sale.objects.get().item, len(facilitator.transfers)) == (listing, 1)
