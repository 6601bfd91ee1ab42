"""An agent's record follows from the log: what was made and measured, sold, earned and said of it; and taken back."""

from collections.abc import Callable

import pytest

from latentmas.events import store
from latentmas.events.projections import project, projectors
from latentmas.events.rebuilding import check, chosen
from latentmas.protocol.quality import Interval
from marketplace.artefacts.commands import quarantine, release
from marketplace.listings.commands import certify_version, create_listing, revoke_certificate
from marketplace.listings.lifecycle.commands import By, accept_transfer, offer_transfer, yank_version
from marketplace.reputation.models import AgentRecord, CountedSale
from marketplace.reputation.queries import standing_of
from marketplace.reputation.review_commands import change_review, remove_review, write_review
from marketplace.sales.commands import Buyer, open_sale, refund_sale
from marketplace.sales.events import RefundReason
from marketplace.sales.goods import Helper
from marketplace.sales.purchasing import buy
from tests.marketplace import sample
from tests.marketplace.artefacts import sample as artefacts
from tests.marketplace.sales.toys import TEST, Toys, bought, quoted
from tests.marketplace.sample import CURATOR, METADATA

pytestmark = pytest.mark.django_db


def refund(sale: str, amount: int | None = None) -> None:
    refund_sale(sale, amount=amount, reason=RefundReason.GOODWILL, by_curator=True, metadata=TEST)


def counters(agent: str) -> tuple[int, int, int]:
    record = standing_of(agent).record
    return record.created, record.measured, record.quality


def require_the_same_from_the_log() -> None:
    assert check(chosen(["project_records", "project_revenue", "project_reviews", "project_bonuses"])) == []


def test_a_memory_counts_from_its_screening_on(registry: None, seller: str) -> None:
    made = artefacts.listed(seller)
    artefacts.publish(made)
    assert counters(seller) == (0, 0, 0)
    artefacts.screen(made)
    assert counters(seller) == (1, 1, 950_000)
    require_the_same_from_the_log()


def test_what_was_not_measured_or_is_a_duplicate_has_no_quality(registry: None, seller: str) -> None:
    artefacts.screen(unmeasured := _published(seller), retention=None)
    artefacts.screen(_published(seller), duplicate_of=f"{unmeasured}/1.0.0")
    assert counters(seller) == (1, 0, 0)


def test_another_screening_replaces_the_one_before(registry: None, seller: str) -> None:
    made = artefacts.on_sale(seller)
    artefacts.screen(made, retention=Interval(0.9, 0.8, 1.0))
    assert counters(seller) == (1, 1, 800_000)
    artefacts.screen(made, findings=("it holds a secret",))
    assert counters(seller) == (0, 0, 0)
    require_the_same_from_the_log()


def test_in_quarantine_nothing_counts_until_its_release(registry: None, seller: str) -> None:
    made = artefacts.on_sale(seller)
    quarantine(made, reason="a complaint", by=CURATOR)
    assert counters(seller) == (0, 0, 0)
    assert standing_of(seller).credit is None
    release(made, reason="unfounded", by=CURATOR)
    assert counters(seller) == (1, 1, 950_000)
    require_the_same_from_the_log()


def test_a_w_matrix_counts_when_it_is_measured_and_goes_on_when_it_is_yanked(registry: None, seller: str) -> None:
    listing = _measured(seller, 0.97)
    assert counters(seller) == (1, 1, 950_000)
    yank_version(listing, version="1.0.0", reason="a better one", by=CURATOR)
    assert counters(seller) == (1, 1, 950_000)
    require_the_same_from_the_log()


def test_a_revoked_certificate_takes_its_measurement_back(registry: None, seller: str) -> None:
    listing = _measured(seller, 0.97)
    revoke_certificate(listing, version="1.0.0", reason="the texts had leaked", metadata=METADATA)
    assert counters(seller) == (0, 0, 0)
    require_the_same_from_the_log()


def test_a_listing_that_is_handed_over_takes_no_reputation_with_it(
    registry: None, seller: str, other_agent: Callable[[str], tuple[str, object]]
) -> None:
    other, _ = other_agent("bea")
    listing = _measured(seller, 0.97)
    offer_transfer(listing, to=other, by=CURATOR)
    accept_transfer(listing, by=By(other, METADATA))
    assert (counters(seller), counters(other)) == ((1, 1, 950_000), (0, 0, 0))
    sample.publish(listing, "1.1.0", quality=sample.functional(0.9))
    assert (counters(seller), counters(other)) == ((1, 1, 950_000), (0, 1, 880_000))
    require_the_same_from_the_log()


def test_a_sale_counts_with_what_it_brings_to_all_who_earn_by_it(
    maker: str, buyer: str, toys: Toys, agent_of: Callable[[str], str]
) -> None:
    helper = agent_of("helper")
    toys.answer = {"helper": Helper(helper, "listing", "1.0.0")}
    bought(buyer)
    assert (standing_of(maker).record.sold, standing_of(maker).record.revenue) == (1, {"USD": 700})
    assert (standing_of(helper).record.sold, standing_of(helper).record.revenue) == (0, {"USD": 100})
    assert standing_of(buyer).credit is None
    require_the_same_from_the_log()


def test_a_refund_takes_back(maker: str, buyer: str) -> None:
    part, whole = bought(buyer), bought(buyer)
    refund(part, 500)
    refund(whole)
    record = standing_of(maker).record
    assert (record.sold, record.revenue) == (1, {"USD": 400})
    refund(part)
    assert (standing_of(maker).record.sold, standing_of(maker).credit) == (0, None)
    assert CountedSale.objects.get(id=part).platform == 0
    require_the_same_from_the_log()


def test_neither_an_open_nor_a_free_sale_counts(maker: str, buyer: str, toys: Toys) -> None:
    toys.put("gift", seller=maker, price=0)
    free = bought(buyer, "gift")
    write_review(free, agent=buyer, rating=5, text="free and good", metadata=TEST)
    made = quoted(buyer)
    open_sale(made.quote, Buyer(buyer), at=made.quote.expires_at, metadata=TEST)
    assert standing_of(maker).credit is None


def test_a_sale_without_preparation_counts_alike(maker: str, buyer: str, toys: Toys) -> None:
    toys.put(seller=maker, ready=True)
    buy(quoted(buyer).token, buyer=Buyer(buyer), metadata=TEST)
    assert (standing_of(maker).record.sold, standing_of(maker).record.revenue) == (1, {"USD": 800})
    require_the_same_from_the_log()


def test_a_review_counts_as_it_stands(maker: str, buyer: str) -> None:
    sale = bought(buyer)
    write_review(sale, agent=buyer, rating=2, text="slow", metadata=TEST)
    assert _reviews(maker) == (1, 2)
    change_review(sale, agent=buyer, rating=4, text="better by now", metadata=TEST)
    assert _reviews(maker) == (1, 4)
    remove_review(sale, reason="not about the goods", metadata=TEST)
    assert _reviews(maker) == (0, 0)
    require_the_same_from_the_log()


def test_the_review_of_a_refunded_sale_no_longer_counts(maker: str, buyer: str) -> None:
    sale, kept = bought(buyer), bought(buyer)
    for each, rating in ((sale, 5), (kept, 3)):
        write_review(each, agent=buyer, rating=rating, text="as it says", metadata=TEST)
    refund(sale)
    assert _reviews(maker) == (1, 3)
    require_the_same_from_the_log()


def test_the_order_of_different_streams_makes_no_difference(maker: str, buyer: str, registry: None) -> None:
    sales = [bought(buyer) for _ in range(2)]
    for sale in sales:
        write_review(sale, agent=buyer, rating=4, text="good", metadata=TEST)
    refund(sales[0])
    artefacts.on_sale(maker)
    before = AgentRecord.objects.filter(agent=maker).values().get()
    events = store.read_all()
    for each in projectors():
        for model in each.writes:
            model._default_manager.all().delete()
    # reviews before the sales that they are of
    project(sorted(events, key=lambda event: (event.stream.startswith("sale/"), event.stream, event.version)))
    assert AgentRecord.objects.filter(agent=maker).values().get() == before


def _reviews(agent: str) -> tuple[int, int]:
    record = standing_of(agent).record
    return record.reviews, record.ratings


def _published(seller: str) -> str:
    made = artefacts.listed(seller)
    artefacts.publish(made)
    return made


def _measured(seller: str, retention: float) -> str:
    """A W-Matrix of the seller's with a certificate of that retention."""
    created = sample.listing_created(seller=seller)
    create_listing(created, metadata=METADATA)
    sample.publish(created.listing_id, quality=sample.functional(retention))
    certify_version(created.listing_id, version="1.0.0", metadata=METADATA)
    return created.listing_id
