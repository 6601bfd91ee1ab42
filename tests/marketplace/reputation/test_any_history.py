"""Whatever happens to sales and their reviews, the record says what is left of it, and so does the log."""

from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentmas.events.rebuilding import check, chosen
from latentmas.protocol.errors import LatentMASError
from marketplace.reputation.queries import standing_of
from marketplace.reputation.review_commands import change_review, remove_review, write_review
from marketplace.sales.commands import refund_sale
from marketplace.sales.events import RefundReason
from tests.marketplace.sales.toys import TEST, Toys, bought, pay_in

CREATORS = 800  # of 10.00
STEPS = st.tuples(st.sampled_from(["buy", "refund", "part", "review", "change", "remove"]), st.integers(0, 3))


@dataclass
class Sold:
    refunded: int = 0
    rating: int | None = None
    changed: bool = False
    removed: bool = False


@dataclass
class History:
    """The same told without events: what is left of each sale."""

    agent: str
    buyer: str
    item: str
    sales: dict[str, Sold] = field(default_factory=dict)

    def step(self, action: str, place: int) -> None:
        if action == "buy":
            self.sales[bought(self.buyer, self.item)] = Sold()
        elif place < len(self.sales):
            sale = list(self.sales)[place]
            getattr(self, f"_{action}")(sale, self.sales[sale])

    def _refund(self, sale: str, sold: Sold) -> None:
        if sold.refunded < 1000:
            refund_sale(sale, amount=None, reason=RefundReason.GOODWILL, by_curator=True, metadata=TEST)
            sold.refunded = 1000

    def _part(self, sale: str, sold: Sold) -> None:
        if sold.refunded <= 500:
            refund_sale(sale, amount=500, reason=RefundReason.GOODWILL, by_curator=True, metadata=TEST)
            sold.refunded += 500

    def _review(self, sale: str, sold: Sold) -> None:
        if sold.rating is not None or sold.removed or sold.refunded == 1000:
            with pytest.raises(LatentMASError):
                write_review(sale, agent=self.buyer, rating=5, text="again", metadata=TEST)
            return
        sold.rating = 2
        write_review(sale, agent=self.buyer, rating=2, text="well", metadata=TEST)

    def _change(self, sale: str, sold: Sold) -> None:
        if sold.rating is None or sold.changed:
            with pytest.raises(LatentMASError):
                change_review(sale, agent=self.buyer, rating=1, text="again", metadata=TEST)
            return
        sold.rating, sold.changed = 4, True
        change_review(sale, agent=self.buyer, rating=4, text="better", metadata=TEST)

    def _remove(self, sale: str, sold: Sold) -> None:
        if sold.rating is not None:
            remove_review(sale, reason="a test", metadata=TEST)
            sold.rating, sold.removed = None, True


@pytest.mark.django_db
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=4, max_size=14))
def test_the_record_says_what_is_left(buyer: str, toys: Toys, steps: list[tuple[str, int]]) -> None:
    item = str(uuid4())
    pay_in(buyer, 14_000)
    toys.put(item, seller=str(uuid4()))  # each history is of a seller of its own
    history = History(toys.offers[item].seller, buyer, item)
    for action, place in steps:
        history.step(action, place)
    record = standing_of(history.agent).record
    kept = [each for each in history.sales.values() if each.refunded < 1000]
    ratings = [each.rating for each in kept if each.rating is not None]
    assert (record.sold, record.reviews, record.ratings) == (len(kept), len(ratings), sum(ratings))
    assert record.revenue.get("USD", 0) == sum(CREATORS * (1000 - each.refunded) // 1000 for each in kept)
    assert check(chosen(["project_records", "project_revenue", "project_reviews"])) == []
