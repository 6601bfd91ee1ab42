"""A W-Matrix with a price is downloaded and applied by those who have bought it, own it or work on it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from latentmas.protocol.errors import WMatrixNotFound
from latentmas.protocol.money import Money
from latentmas.rest.scopes import PURCHASES_WRITE
from marketplace.agents.commands import Profile, register_agent
from marketplace.listings.choosing.choice import best, best_for_cache, named_for_cache
from marketplace.listings.events.lifecycle import Access, Role
from marketplace.listings.lifecycle.commands import (
    By,
    add_collaborator,
    change_access,
    change_price,
    grant_access,
    quarantine_listing,
    request_access,
    yank_version,
)
from marketplace.listings.models import ListingVersion
from marketplace.listings.paying import first_paid
from marketplace.listings.visibility import NOBODY, Viewer
from marketplace.sales.commands import Buyer, refund_sale
from marketplace.sales.errors import PaymentRequired
from marketplace.sales.events import RefundReason
from marketplace.sales.goods import Delivery, Kind
from marketplace.sales.purchasing import buy
from marketplace.sales.quotes import quote
from tests.marketplace import sample
from tests.marketplace.conftest import client_of
from tests.marketplace.sales.toys import TEST, funds, pay_in

pytestmark = pytest.mark.django_db
BROWSE = "/api/w-matrices"
PAIR = {"source_model": sample.SOURCE, "target_model": sample.TARGET}


@pytest.fixture
def listing(registry: None, seller: str) -> str:
    """Alice's listing for 19.99 USD, certified today."""
    return listed(seller, price=1999)


@pytest.fixture
def bob(db: None) -> str:
    agent = register_agent(User.objects.create_user("bob"), Profile("bob-agent", "Bob"), metadata=TEST).id
    pay_in(agent, 5_000)
    return agent


@pytest.fixture
def shopper(bob: str) -> Client:
    return client_of(User.objects.get(username="bob"), PURCHASES_WRITE)


def listed(seller: str, *, price: int, retention: float = 0.97) -> str:
    return sample.make_listing(
        quality=sample.functional(retention),
        at=timezone.now(),
        listing_id=sample.listing_id_for_seller(f"{seller}{price}"),
        seller=seller,
        price=Money(price, "USD"),
    )


def bought(listing: str, agent: str, version: str | None = None) -> str:
    made = quote(Kind.W_MATRIX, listing, version=version, delivery=Delivery(), buyer=agent)
    return buy(made.token, buyer=Buyer(agent), metadata=TEST)[0]


def file(client: Client, listing: str, version: str = "1.0.0") -> Any:
    return client.get(f"{BROWSE}/{listing}/versions/{version}/file")


def owner(seller: str) -> By:
    return By(seller, sample.METADATA)


def viewer(*agents: str) -> Viewer:
    return Viewer(frozenset(agents))


def test_an_agent_that_meets_a_price_gets_the_terms(listing: str, client: Client) -> None:
    answer = file(client, listing)
    assert (answer.status_code, answer.json()["code"]) == (402, "PAYMENT_REQUIRED")
    facts = answer.json()["facts"]
    assert facts["price"] == {"amount": 1999, "currency": "USD"}
    assert facts["quote"]["body"] == {"kind": "w-matrix", "item": listing, "version": "1.0.0"}
    assert (facts["top_up"]["address"], facts["accepts"]) == ("/api/top-ups", ["wallet"])


def test_the_terms_lead_to_the_file(listing: str, shopper: Client, seller: str, bob: str) -> None:
    terms = file(shopper, listing).json()["facts"]
    made = shopper.post(terms["quote"]["address"], terms["quote"]["body"], "application/json").json()
    sold = shopper.post(terms["purchase"]["address"], {"quote": made["quote"]}, "application/json")
    assert sold.status_code == 201
    got = file(shopper, listing)
    assert (got.status_code, got["Cache-Control"]) == (200, "private, no-store")
    assert b"".join(got) == b"".join(shopper.get(sold.json()["file"]["url"]))
    assert (funds(bob), funds(seller)) == (3_001, 1_599)


def test_the_owner_and_who_works_on_it_pay_nothing(
    listing: str, publisher: Client, seller: str, other_agent: Callable[[str], tuple[str, Client]]
) -> None:
    worker, client = other_agent("worker")
    add_collaborator(listing, who=worker, role=Role.PUBLISHER, by=owner(seller))
    assert [file(each, listing).status_code for each in (publisher, client)] == [200, 200]


def test_granted_access_does_not_pay(listing: str, seller: str, bob: str, shopper: Client) -> None:
    change_access(listing, access=Access.GATED, by=owner(seller))
    assert shopper.post("/api/quotes", {"kind": "w-matrix", "item": listing}, "application/json").status_code == 403
    request_access(listing, message="please", by=By(bob, sample.METADATA))
    grant_access(listing, who=bob, by=owner(seller))
    assert file(shopper, listing).status_code == 402
    bought(listing, bob)
    assert file(shopper, listing).status_code == 200


def test_a_free_one_needs_no_account(registry: None, seller: str, client: Client) -> None:
    got = file(client, listed(seller, price=0))
    assert (got.status_code, got.get("Cache-Control")) == (200, None)


def test_a_purchase_covers_its_major_version(listing: str, bob: str, shopper: Client) -> None:
    bought(listing, bob, "1.0.0")
    for version, status in (("1.1.0", 200), ("2.0.0", 402)):
        sample.publish(listing, version)
        assert file(shopper, listing, version).status_code == status


def test_the_buyer_keeps_a_yanked_version_and_a_quarantine_stops_all(
    listing: str, bob: str, shopper: Client, client: Client, seller: str
) -> None:
    sale = bought(listing, bob)
    yank_version(listing, version="1.0.0", reason="a test", by=owner(seller))
    assert (file(shopper, listing).status_code, file(client, listing).status_code) == (200, 410)
    assert shopper.get(f"/api/purchases/{sale}/file").status_code == 200
    refused = shopper.post("/api/quotes", {"kind": "w-matrix", "item": listing, "version": "1.0.0"}, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (410, "VERSION_YANKED")
    quarantine_listing(listing, reason="a test", by=sample.CURATOR)
    assert (file(shopper, listing).status_code, shopper.get(f"/api/purchases/{sale}/file").status_code) == (403, 403)


def test_what_was_downloaded_while_it_was_free_is_kept(registry: None, seller: str, shopper: Client) -> None:
    free = listed(seller, price=0)
    b"".join(file(shopper, free))
    change_price(free, price=Money(500, "USD"), by=owner(seller))
    assert (file(shopper, free).status_code, file(Client(), free).status_code) == (200, 402)


def test_a_whole_refund_ends_the_entitlement(listing: str, bob: str, shopper: Client) -> None:
    sale = bought(listing, bob)
    refund_sale(sale, amount=None, reason=RefundReason.DEFECTIVE, by_curator=True, metadata=TEST)
    assert file(shopper, listing).status_code == 402


def test_the_best_one_is_one_that_the_payer_may_use(listing: str, seller: str, bob: str) -> None:
    free = listed(seller, price=0, retention=0.9)
    choice = {"weights": None, "at": timezone.now(), "require_certificate": True}
    assert best(**PAIR, at=timezone.now()).listing_id == listing
    for payer, expected in ((None, listing), (NOBODY, free), (viewer(bob), free), (viewer(seller), listing)):
        assert best_for_cache(**PAIR, **choice, payer=payer).listing_id == expected
    bought(listing, bob)
    assert best_for_cache(**PAIR, **choice, payer=viewer(bob)).listing_id == listing
    yank_version(free, version="1.0.0", reason="a test", by=owner(seller))
    with pytest.raises(PaymentRequired):
        best_for_cache(**PAIR, **choice, payer=NOBODY)


def test_a_named_one_asks_for_its_price_too(listing: str, seller: str, bob: str) -> None:
    with pytest.raises(PaymentRequired):
        named_for_cache(listing, "1.0.0", **PAIR, viewer=viewer(bob), payer=viewer(bob))
    with pytest.raises(PaymentRequired):
        named_for_cache(None, "1.0.0", **PAIR, viewer=viewer(bob), payer=viewer(bob))
    bought(listing, bob)
    for name in (listing, None):
        row = named_for_cache(name, "1.0.0", **PAIR, viewer=viewer(bob), payer=viewer(bob))
        assert row is not None
        assert row.listing_id == listing
    with pytest.raises(WMatrixNotFound):
        named_for_cache(None, "3.0.0", **PAIR, payer=viewer(bob))


def test_what_an_agent_has_got_before_it_may_apply(registry: None, seller: str, bob: str, shopper: Client) -> None:
    free = listed(seller, price=0)
    b"".join(file(shopper, free))
    change_price(free, price=Money(500, "USD"), by=owner(seller))
    rows = list(ListingVersion.objects.filter(listing_id=free))
    assert first_paid(rows, viewer(bob)).listing_id == free
    with pytest.raises(PaymentRequired):
        first_paid(rows, NOBODY)
