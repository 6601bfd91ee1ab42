"""The memory market: lists with filters, and the card of one artefact."""

import pytest

from latentmas.protocol.money import Money
from latentmas.rest.scopes import MEMORIES_PUBLISH, MEMORIES_WRITE
from marketplace.artefacts.commands import quarantine, withdraw
from marketplace.artefacts.events import Terms
from marketplace.listings.lifecycle.commands import By
from marketplace.reputation.review_commands import write_review
from marketplace.sales.goods import Delivery, Kind
from marketplace.sales.quotes import quote
from tests.marketplace import sample
from tests.marketplace.artefacts.sample import declare, listed, on_sale, publish, screen
from tests.marketplace.artefacts.selling import OFFER, kept, post
from tests.marketplace.conftest import client_of
from tests.marketplace.web.selling import bought, memory_of, page

pytestmark = pytest.mark.django_db


@pytest.fixture
def shelf(registry, seller):
    """Two memories, a chain, a long-term memory and embeddings on sale; a memory that is not."""
    made = {kind: on_sale(seller, kind=kind) for kind in (Kind.MEMORY, Kind.REASONING_CHAIN, Kind.LONG_TERM_MEMORY)}
    made[Kind.EMBEDDING] = on_sale(seller, kind=Kind.EMBEDDING)
    dear = listed(seller, model="gemma-3-270m", terms=Terms(Money(9000, "USD")))
    publish(dear, tokens=4000, model="gemma-3-270m")
    screen(dear, retention=None)
    hidden = listed(seller)
    publish(hidden)
    return made | {"dear": dear, "hidden": hidden}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", [Kind.MEMORY, "dear"]),
        ("?kind=memory", [Kind.MEMORY, "dear"]),
        ("?kind=reasoning-chain", [Kind.REASONING_CHAIN]),
        ("?kind=long-term-memory", [Kind.LONG_TERM_MEMORY]),
        ("?kind=embedding", [Kind.EMBEDDING]),
        ("?model=gemma-3-270m", ["dear"]),
        ("?price_max=500", [Kind.MEMORY]),
        ("?tokens_min=100", ["dear"]),
        ("?tokens_max=100&model=", [Kind.MEMORY]),
        ("?price_max=1", []),
    ],
)
def test_the_market_shows_what_is_on_sale_and_fits(client, shelf, query, shown):
    text = page(client, f"/market{query}")
    assert {name for name, artefact in shelf.items() if artefact in text} == set(shown)
    assert ("Nothing on sale matches" in text) == (not shown)


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ("kind=w-matrix", "no kind 'w-matrix' is sold here"),
        ("kind=nothing", "no kind 'nothing' is sold here"),
        ("price_max=cheap", "price_max: A valid integer is required"),
        ("tokens_min=-1", "tokens_min: Ensure this value is greater than or equal to 0"),
        ("model=nobody", "nobody"),
        ("colour=red", "colour: unknown parameter"),
    ],
)
def test_a_wrong_filter_says_what_is_wrong_and_shows_nothing(client, shelf, query, mistake):
    text = page(client, f"/market?{query}")
    assert mistake in text
    assert shelf[Kind.MEMORY] not in text


def test_the_market_comes_in_pages_that_keep_the_filters(client, registry, seller):
    for _ in range(26):
        on_sale(seller)
    text = page(client, "/market?price_max=500")
    assert "Page 1 of 2" in text
    assert 'href="?price_max=500&amp;page=2"' in text
    assert "Page 2 of 2" in page(client, "/market?price_max=500&page=2")


def test_an_unmeasured_memory_is_said_to_be_unmeasured(client, shelf):
    assert "not measured" in page(client, "/market?model=gemma-3-270m")
    text = page(client, f"/memories/{shelf['dear']}")
    assert "not measured" in text
    assert "nobody knows how much its compression kept" in text


def test_a_card_says_all_that_a_buyer_should_know(client, memory, seller):
    text = page(client, f"/memories/{memory}")
    for said in (
        "Minutes",
        "smollm2-135m",
        "My own words.",
        "unread prompt",
        "can remove the mark",
        "0.970",
        "0.800",
        "Log in to buy",
        f"/sellers/{seller}",
        "alice-labs",
        "grade",
    ):
        assert said in text, said


def test_the_price_on_a_card_is_that_of_a_quote(client, bea, memory):
    made = quote(Kind.MEMORY, memory, delivery=Delivery(), buyer=bea)
    text = page(client, f"/memories/{memory}")
    assert f"{made.quote.price / 100:.2f} USD" in text
    for term in made.breakdown.terms:
        assert f"{term.factor:f}" in text
        assert f"{term.adds:f}" in text


def test_embeddings_cost_what_the_seller_asks(client, shelf):
    text = page(client, f"/embeddings/{shelf[Kind.EMBEDDING]}")
    assert "5.00 USD" in text
    assert "The seller's price as it is" in text


def test_a_card_offers_the_part_that_is_given_away(client, registry, seller):
    memory = memory_of("alice", canary=3)
    text = page(client, f"/memories/{memory}")
    link = f"/api/memories/{memory}/canary?version=1.0.0"
    assert f'href="{link}"' in text
    assert client.get(link).status_code == 200


def test_a_card_shows_the_lineage_with_titles_of_what_is_on_sale_alone(client, registry, seller, other_agent):
    bob, _ = other_agent("bob")
    parent, hidden, child = on_sale(bob), listed(bob), on_sale(seller)
    publish(hidden)
    declare(child, seller, (parent, 1250), (hidden, 0))
    text = page(client, f"/memories/{child}")
    assert f'href="/memories/{parent}"' in text
    assert f"<code>{hidden}</code>" in text
    assert f'href="/memories/{hidden}"' not in text
    assert "12.5 %" in text
    assert "bob-maps" in text
    assert f'href="/memories/{child}"' in page(client, f"/memories/{parent}")


def test_a_card_shows_its_reviews(client, bea, memory):
    write_review(bought(bea, memory), agent=bea, rating=4, text="Good <b>minutes</b>.", metadata=sample.METADATA)
    text = page(client, f"/memories/{memory}")
    assert "4 of 5" in text
    assert "Good &lt;b&gt;minutes&lt;/b&gt;." in text
    assert "bea-buys" in text


def test_what_is_not_on_offer_is_shown_to_its_seller_alone(client, browser, stranger, shelf):
    path = f"/memories/{shelf['hidden']}"
    assert "its screening has not ended" in page(browser, path)
    page(client, path, 404)
    page(stranger, path, 404)


def test_a_withdrawn_memory_keeps_its_card_without_a_price(client, buying, seller, memory):
    withdraw(memory, reason="It is out of date.", by=By(seller, sample.METADATA))
    text = page(buying, f"/memories/{memory}")
    assert "It is out of date." in text
    assert "See the price" not in text
    assert memory not in page(client, "/market")


def test_a_quarantined_memory_is_hidden_from_all_but_its_seller(client, browser, memory):
    quarantine(memory, reason="Under examination.", by=sample.CURATOR)
    page(client, f"/memories/{memory}", 404)
    assert "Under examination." in page(browser, f"/memories/{memory}")


@pytest.mark.parametrize("artefact", ["nothing", "%00", "x" * 300, "00000000-0000-4000-8000-000000000000"])
@pytest.mark.parametrize("path", ["memories", "reasoning-chains", "long-term-memories", "embeddings"])
def test_an_artefact_that_is_not_there_is_not_found(client, db, path, artefact):
    page(client, f"/{path}/{artefact}", 404)


def test_a_memory_is_found_under_its_own_kind_and_versions_alone(client, memory):
    page(client, f"/reasoning-chains/{memory}", 404)
    page(client, f"/memories/{memory}?version=9.9.9", 404)
    page(client, f"/memories/{memory}?version=%00", 404)
    assert "version 1.0.0" in page(client, f"/memories/{memory}?version=1.0.0")


def test_the_pages_cost_a_constant_number_of_queries(
    client, registry, seller, other_agent, django_assert_max_num_queries
):
    bob, _ = other_agent("bob")
    memory = on_sale(seller)
    children = [on_sale(bob) for _ in range(6)]
    for child in children:
        declare(child, bob, (memory, 100))
    with django_assert_max_num_queries(8):
        page(client, "/market")
    with django_assert_max_num_queries(26):
        page(client, f"/memories/{memory}")


def test_nothing_of_what_it_holds_is_on_a_card(client, registry, alice, seller):
    shop = client_of(alice, MEMORIES_WRITE, MEMORIES_PUBLISH)
    steps = [{"text": "Assume a load.", "end": 4}, {"text": "So it holds.", "end": 10}]
    chain = post(shop, "/api/reasoning-chains", OFFER | {"memory": kept(shop), "steps": steps}).json()["id"]
    screen(chain)
    text = page(client, f"/reasoning-chains/{chain}")
    assert "<dt>steps</dt><dd>2</dd>" in text
    assert "Assume a load." not in text
    assert "So it holds." not in text
