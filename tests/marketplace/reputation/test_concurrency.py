"""Several at once: a fund pays no more than it holds, no bonus twice, and counters miss nothing."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from latentmas.events.rebuilding import check, chosen
from latentmas.protocol.money import Money
from marketplace.ledger.accounts import bonuses as fund
from marketplace.ledger.balances import balance_of
from marketplace.reputation.bonus_fund import fill_fund
from marketplace.reputation.models import Bonus
from marketplace.reputation.queries import standing_of
from marketplace.reputation.review_commands import write_review
from marketplace.sales.commands import refund_sale
from marketplace.sales.errors import SaleRefunded
from marketplace.sales.events import RefundReason
from tests.events.threads import in_threads
from tests.marketplace.reputation.test_bonuses import INCENTIVES, USD, grant
from tests.marketplace.sales.toys import TEST, bought, funds, pay_in, total

pytestmark = pytest.mark.django_db(transaction=True)


def test_runs_at_once_pay_each_bonus_once_and_never_overdraw_the_fund(
    maker: str, agent_of: Callable[[str], str]
) -> None:
    buyers = [agent_of(f"buyer-{number}") for number in range(5)]
    for each in buyers:
        pay_in(each, 1_000)
        bought(each)
    fill_fund(Money(500, USD), reason="a campaign", metadata=TEST)  # of 750 that all of them would get
    INCENTIVES.configure({"volume_percent": 100, "volume_purchases": 1}, metadata=TEST)
    in_threads(*[grant] * 4)
    assert Bonus.objects.count() == 3
    assert sorted(funds(each) for each in buyers) == [0, 0, 150, 150, 150]
    assert (balance_of(fund(USD)), total()) == (50, 0)


def test_a_review_and_a_refund_at_once_leave_the_record_that_the_log_gives(maker: str, buyer: str) -> None:
    sales = [bought(buyer) for _ in range(4)]

    def refund(sale: str) -> None:
        refund_sale(sale, amount=None, reason=RefundReason.GOODWILL, by_curator=True, metadata=TEST)

    def review(sale: str) -> None:
        with suppress(SaleRefunded):  # the refund was faster
            write_review(sale, agent=buyer, rating=4, text="good", metadata=TEST)

    in_threads(*[partial(act, sale) for sale in sales for act in (refund, review)])
    record = standing_of(maker).record
    assert (record.sold, record.reviews, record.ratings) == (0, 0, 0)
    assert check(chosen(["project_records", "project_reviews"])) == []


def test_purchases_and_reviews_at_once_are_all_counted(maker: str, buyer: str) -> None:
    def purchase() -> None:
        write_review(bought(buyer), agent=buyer, rating=4, text="good", metadata=TEST)

    in_threads(*[purchase] * 6)
    record = standing_of(maker).record
    assert (record.sold, record.reviews, record.ratings, record.revenue) == (6, 6, 24, {USD: 4_800})
    assert check(chosen(["project_records", "project_revenue"])) == []
