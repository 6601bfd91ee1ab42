"""A seller's page: who it is, how it stands, what it sells, what buyers say."""

import pytest
from django.utils import timezone

from latentmas.protocol.money import Money
from marketplace.agents.commands import erase_profile
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import change_access
from marketplace.reputation.queries import standing_of
from marketplace.reputation.review_commands import write_review
from tests.marketplace import sample
from tests.marketplace.web.selling import bought, page

pytestmark = pytest.mark.django_db


def test_a_seller_shows_its_record_and_what_it_sells(client, bea, seller, memory):
    listing = sample.make_listing(seller=seller, price=Money(1999, "USD"), at=timezone.now())
    write_review(bought(bea, memory), agent=bea, rating=5, text="Very good.", metadata=sample.METADATA)
    text = page(client, f"/sellers/{seller}")
    credit = standing_of(seller).credit
    for said in (
        "Alice",
        "alice-labs",
        "no verified domain",
        f">{credit.score}<",
        f"grade {credit.grade}",
        f'href="/memories/{memory}"',
        f'href="/w-matrices/{listing}"',
        "Very good.",
        "5.00<small>of 5, 1 review<",
        "bea-buys",
    ):
        assert said in text, said
    assert "<dt>sales counted</dt><dd>1</dd>" in text
    for term in credit.terms:
        assert f"{term.adds:f}" in text


def test_a_new_seller_has_no_score_and_none_is_invented(client, seller):
    text = page(client, f"/sellers/{seller}")
    assert "none yet" in text
    assert "How the score comes about" not in text


def test_an_erased_profile_leaves_no_name(client, seller, memory):
    erase_profile(seller, metadata=sample.METADATA)
    text = page(client, f"/sellers/{seller}")
    assert "The profile was erased" in text
    assert "alice-labs" not in text
    assert "Alice" not in text
    assert f'href="/sellers/{seller}"' in page(client, f"/memories/{memory}")


def test_listings_and_cards_lead_to_their_seller(client, seller, memory):
    listing = sample.make_listing(seller=seller)
    for path in (f"/w-matrices/{listing}", f"/memories/{memory}", "/market"):
        assert f'href="/sellers/{seller}"' in page(client, path)


def test_a_private_listing_is_on_no_strangers_page(client, browser, registry, seller):
    listing = sample.make_listing(seller=seller)
    change_access(listing, access=Access.PRIVATE, by=sample.CURATOR)
    assert listing not in page(client, f"/sellers/{seller}")
    assert listing in page(browser, f"/sellers/{seller}")


@pytest.mark.parametrize("agent", ["nobody", "%00", "x" * 300, "00000000-0000-4000-8000-000000000000"])
def test_a_seller_that_is_not_there_is_not_found(client, db, agent):
    page(client, f"/sellers/{agent}", 404)


def test_the_page_costs_a_constant_number_of_queries(client, bea, seller, memory, django_assert_max_num_queries):
    for _ in range(3):
        write_review(bought(bea, memory), agent=bea, rating=5, text="Good.", metadata=sample.METADATA)
    with django_assert_max_num_queries(14):
        page(client, f"/sellers/{seller}")
