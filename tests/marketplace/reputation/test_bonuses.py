"""Bonuses: a part of the platform's share goes back, once a month, from a fund that never falls below zero."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from latentmas.events.rebuilding import check, chosen
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import Money
from marketplace.agents.commands import suspend_agent
from marketplace.agents.events import SuspensionReason
from marketplace.ledger.accounts import bonuses as fund
from marketplace.ledger.accounts import platform
from marketplace.ledger.balances import balance_of
from marketplace.reputation.bonus_fund import fill_fund
from marketplace.reputation.bonuses import Outcome, grant_bonuses
from marketplace.reputation.configurations import INCENTIVES
from marketplace.reputation.errors import BonusFundTooSmall
from marketplace.reputation.models import Bonus, BonusFilling
from marketplace.reputation.periods import Period, last_ended, period_of
from marketplace.sales.commands import refund_sale
from marketplace.sales.events import RefundReason
from tests.marketplace.artefacts import sample as artefacts
from tests.marketplace.sales.toys import TEST, Toys, bought, funds, pay_in, total

pytestmark = pytest.mark.django_db
USD = "USD"


@pytest.fixture
def filled(maker: str, buyer: str) -> None:
    """Ten sales of 10.00 have brought the platform 15.00, of which 10.00 are for bonuses."""
    for _ in range(10):
        bought(buyer)
    fill_fund(Money(1_000, USD), reason="the campaign of the autumn", metadata=TEST)


def this_month() -> Period:
    return period_of(f"{timezone.now():%Y-%m}")


def grant() -> Outcome:
    """Grant the bonuses of the present month, as its end would."""
    period = this_month()
    return grant_bonuses(period, at=period.ends, metadata=TEST)


def refund(sale: str, amount: int | None = None) -> None:
    refund_sale(sale, amount=amount, reason=RefundReason.GOODWILL, by_curator=True, metadata=TEST)


def test_without_a_configuration_nothing_is_granted(filled: None, maker: str, buyer: str) -> None:
    assert grant() == Outcome()
    assert (funds(maker), funds(buyer), balance_of(fund(USD))) == (8_000, 0, 1_000)


def test_a_seller_whose_measured_goods_are_much_used_gets_a_bonus(filled: None, registry: None, maker: str) -> None:
    artefacts.on_sale(maker)  # measured at 0.95 and above
    INCENTIVES.configure({"quality_percent": 20, "quality_uses": 10, "quality_bar": 950_000}, metadata=TEST)
    (granted,) = grant().granted
    row = Bonus.objects.get(id=granted)
    assert (row.agent, row.kind, row.basis, row.amount, row.configuration) == (maker, "quality", 1_500, 300, 1)
    assert (funds(maker), balance_of(fund(USD)), total()) == (8_300, 700, 0)


@pytest.mark.parametrize("changed", [{"quality_bar": 950_001}, {"quality_uses": 11}])
def test_below_the_bar_there_is_none(filled: None, registry: None, maker: str, changed: dict[str, int]) -> None:
    artefacts.on_sale(maker)
    INCENTIVES.configure({"quality_percent": 20, "quality_uses": 10} | changed, metadata=TEST)
    assert grant() == Outcome()


def test_without_a_measurement_there_is_none(filled: None, maker: str) -> None:
    INCENTIVES.configure({"quality_percent": 20, "quality_uses": 1, "quality_bar": 0}, metadata=TEST)
    assert grant() == Outcome()


def test_first_purchases_give_a_part_back(filled: None, buyer: str) -> None:
    INCENTIVES.configure({"first_purchases_percent": 50, "first_purchases": 3}, metadata=TEST)
    grant()
    assert Bonus.objects.get().amount == 225  # half of 15 % of three times 10.00
    assert funds(buyer) == 225


def test_a_refunded_purchase_stays_one_of_the_first(maker: str, buyer: str) -> None:
    refund(bought(buyer))
    bought(buyer)
    fill_fund(Money(100, USD), reason="a campaign", metadata=TEST)
    INCENTIVES.configure({"first_purchases_percent": 50, "first_purchases": 1}, metadata=TEST)
    assert grant() == Outcome()


def test_who_buys_much_gets_a_discount_credited_back(filled: None, buyer: str, agent_of: Callable[[str], str]) -> None:
    other = agent_of("other")
    pay_in(other, 9_000)
    for _ in range(9):
        bought(other)
    INCENTIVES.configure({"volume_percent": 10, "volume_purchases": 10}, metadata=TEST)
    grant()
    assert (funds(buyer), funds(other)) == (150, 0)


def test_a_second_run_grants_nothing_twice(filled: None, buyer: str) -> None:
    INCENTIVES.configure({"volume_percent": 10, "volume_purchases": 1}, metadata=TEST)
    assert [len(grant().granted) for _ in range(3)] == [1, 0, 0]
    assert funds(buyer) == 150
    assert check(chosen(["project_bonuses", "project_fillings", "project_incentives"])) == []


def test_the_fund_never_falls_below_zero_and_pays_when_it_is_filled(filled: None, maker: str, buyer: str) -> None:
    INCENTIVES.configure({"first_purchases_percent": 20, "volume_percent": 80, "volume_purchases": 1}, metadata=TEST)
    outcome = grant()
    assert (len(outcome.granted), len(outcome.unpaid)) == (1, 1)
    assert (funds(buyer), balance_of(fund(USD))) == (90, 910)
    fill_fund(Money(290, USD), reason="the rest of the campaign", metadata=TEST)
    assert grant().granted == outcome.unpaid
    assert (funds(buyer), balance_of(fund(USD)), total()) == (1_290, 0, 0)


def test_a_refund_after_the_bonus_takes_its_part_back(maker: str, buyer: str) -> None:
    sales = [bought(buyer) for _ in range(2)]
    fill_fund(Money(300, USD), reason="a campaign", metadata=TEST)
    INCENTIVES.configure({"volume_percent": 100, "volume_purchases": 1}, metadata=TEST)
    grant()
    assert funds(buyer) == 8_300
    refund(sales[0], 500)
    INCENTIVES.configure({"volume_percent": 0}, metadata=TEST)  # what was granted stands on its own figures
    assert len(grant().taken_back) == 1
    assert grant() == Outcome()
    assert (funds(buyer), balance_of(fund(USD))) == (8_725, 75)
    refund(sales[0])
    refund(sales[1])
    grant()
    assert (funds(buyer), balance_of(fund(USD)), Bonus.objects.get().taken_back) == (10_000, 300, 300)
    assert (funds(maker), total()) == (0, 0)
    assert check(chosen(["project_bonuses", "project_records"])) == []


def test_who_sells_to_himself_never_gains(filled: None, registry: None, maker: str, buyer: str) -> None:
    artefacts.on_sale(maker)
    wanted = {"quality_percent": 40, "quality_uses": 1, "volume_percent": 60, "volume_purchases": 1}
    fill_fund(Money(500, USD), reason="all that there is", metadata=TEST)
    INCENTIVES.configure(wanted, metadata=TEST)
    assert len(grant().granted) == 2
    assert funds(maker) + funds(buyer) == 9_500  # of the 100.00 that the buyer had; the validators' share is lost


def test_a_suspended_agent_gets_none(filled: None, buyer: str) -> None:
    INCENTIVES.configure({"volume_percent": 10, "volume_purchases": 1}, metadata=TEST)
    suspend_agent(buyer, reason=SuspensionReason.FRAUD, metadata=TEST)
    assert grant() == Outcome()


def test_each_currency_has_its_own_bonus_and_fund(filled: None, maker: str, buyer: str, toys: Toys) -> None:
    toys.offers["euros"] = replace(toys.put("euros", seller=maker), price=Money(1_000, "EUR"))
    pay_in(buyer, 1_000, "EUR")
    bought(buyer, "euros")
    INCENTIVES.configure({"volume_percent": 10, "volume_purchases": 1}, metadata=TEST)
    outcome = grant()
    assert [name.rpartition("-")[2] for name in outcome.granted] == [USD]
    assert [name.rpartition("-")[2] for name in outcome.unpaid] == ["EUR"]


def test_a_month_that_has_not_ended_is_refused(filled: None) -> None:
    period = this_month()
    with pytest.raises(InvalidInput, match="has not ended"):
        grant_bonuses(period, at=period.ends - timedelta(seconds=1), metadata=TEST)


def test_the_fund_is_filled_from_what_the_platform_has(filled: None) -> None:
    assert (balance_of(platform(USD)), balance_of(fund(USD))) == (500, 1_000)
    (row,) = BonusFilling.objects.all()
    assert (row.amount, row.currency, row.reason, row.actor) == (1_000, USD, "the campaign of the autumn", TEST.actor)
    with pytest.raises(BonusFundTooSmall, match="holds 500 minor units, 501 are needed"):
        fill_fund(Money(501, USD), reason="too much", metadata=TEST)
    assert BonusFilling.objects.count() == 1


@pytest.mark.parametrize(
    ("amount", "reason", "field"),
    [
        (Money(0, USD), "a reason", "amount"),
        (Money(-1, USD), "a reason", "amount"),
        (Money(1, "dollars"), "a reason", "currency"),
        (Money(1, USD), " ", "reason"),
    ],
)
def test_a_malformed_filling_is_refused(filled: None, amount: Money, reason: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        fill_fund(amount, reason=reason, metadata=TEST)
    assert refused.value.facts["field"] == field
    assert BonusFilling.objects.count() == 1


def test_the_command_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("grant_bonuses")
    assert capsys.readouterr().out == "granted: 0\ncut: 0\nnot covered by the fund: 0\n"
    with pytest.raises(CommandError, match="not a month"):
        call_command("grant_bonuses", period="2026-13")
    with pytest.raises(CommandError, match="has not ended"):
        call_command("grant_bonuses", period="2099-12")


def test_months_begin_and_end_in_utc() -> None:
    december = period_of("2026-12")
    assert (december.begins, december.ends) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert last_ended(datetime(2027, 1, 1, tzinfo=UTC)) == december
    assert last_ended(datetime(2026, 3, 31, 23, 59, tzinfo=UTC)).name == "2026-02"
