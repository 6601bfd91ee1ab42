"""How an agent stands, over HTTP; its revenue only to itself. And what its page shows."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from latentmas.protocol.errors import NotFound
from latentmas.rest.scopes import REVIEWS_WRITE
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import change_access
from marketplace.reputation.configurations import CREDIT
from marketplace.reputation.review_commands import write_review
from marketplace.reputation.sellers import seller_page
from tests.marketplace import sample
from tests.marketplace.artefacts import sample as artefacts
from tests.marketplace.conftest import client_of
from tests.marketplace.sales.toys import TEST, bought
from tests.marketplace.sample import CURATOR

pytestmark = pytest.mark.django_db
UNUSED = "3b0f6c1e-0000-4000-8000-000000000001"


def test_a_score_with_how_it_comes_about(maker: str, buyer: str, registry: None, client: Client) -> None:
    artefacts.on_sale(maker)
    write_review(bought(buyer), agent=buyer, rating=5, text="as described", metadata=TEST)
    document = client.get(f"/api/agents/{maker}/credit").json()
    added = sum(Decimal(each["adds"]) for each in document["components"])
    assert document["score"] == round(300 + 550 * added)
    assert [each["name"] for each in document["components"]] == ["quality", "created", "sold", "revenue", "reviews"]
    assert document["record"] == {
        "measured": 1,
        "mean_quality": "0.950000",
        "created": 1,
        "sold": 1,
        "reviews": 1,
        "mean_rating": "5.000000",
        "revenue": None,
    }
    assert (document["configuration"], document["settings"]["sold_ceiling"]) == (0, 10_000)


def test_an_agent_sees_its_own_revenue(maker: str, buyer: str, curator: Client) -> None:
    bought(buyer)
    own = client_of(User.objects.get(username="maker"), REVIEWS_WRITE)
    answer = own.get(f"/api/agents/{maker}/credit")
    assert answer.json()["record"]["revenue"] == [{"amount": 800, "currency": "USD"}]
    assert answer["Cache-Control"] == "private, no-store"
    assert curator.get(f"/api/agents/{maker}/credit").json()["record"]["revenue"] is not None
    other = client_of(User.objects.get(username="buyer"), REVIEWS_WRITE)
    assert other.get(f"/api/agents/{maker}/credit").json()["record"]["revenue"] is None


def test_without_a_record_there_is_no_score(maker: str, client: Client) -> None:
    document = client.get(f"/api/agents/{maker}/credit").json()
    assert (document["score"], document["grade"], document["components"]) == (None, None, [])
    assert client.get("/api/agents/nobody/credit").status_code == 404


def test_a_score_follows_the_configuration_in_force(maker: str, buyer: str, client: Client) -> None:
    bought(buyer)
    before = client.get(f"/api/agents/{maker}/credit").json()
    CREDIT.configure({"sold_ceiling": 1}, metadata=TEST)
    after = client.get(f"/api/agents/{maker}/credit").json()
    assert (before["configuration"], after["configuration"]) == (0, 1)
    assert after["components"][2]["factor"] == "1.000000"
    assert after["score"] > before["score"]


def test_reviews_are_in_the_public_feed_and_sales_are_not(maker: str, buyer: str, client: Client) -> None:
    sale = bought(buyer)
    write_review(sale, agent=buyer, rating=5, text="as described", metadata=TEST)
    changes = client.get("/api/changes?after=0").json()
    assert [each["subject"] for each in changes["changes"] if sale in each["subject"]] == [f"review/{sale}"]


def test_a_sellers_page_has_all_that_buyers_look_for(
    maker: str, buyer: str, registry: None, agent_of: Callable[[str], str]
) -> None:
    memory = artefacts.on_sale(maker)
    artefacts.on_sale(agent_of("rival"))
    listing = sample.make_listing(seller=maker)
    hidden = sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured(), seller=maker, listing_id=UNUSED)
    change_access(hidden, access=Access.PRIVATE, by=CURATOR)
    sale = bought(buyer)
    write_review(sale, agent=buyer, rating=5, text="as described", metadata=TEST)
    page = seller_page(maker, at=timezone.now())
    assert page.profile is not None
    assert (page.profile.handle, page.agent.domain) == ("maker-agent", None)
    assert ([each.id for each in page.listings], [each.id for each in page.artefacts]) == ([listing], [memory])
    assert ([each.id for each in page.reviews], page.counted) == ([sale], {sale})
    assert (page.standing.record.sold, page.standing.credit is None) == (1, False)
    with pytest.raises(NotFound):
        seller_page("nobody", at=timezone.now())
