"""A token's budget is reserved with the balances: whatever runs at once, it is never exceeded."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier

import pytest
from django.utils import timezone

from latentmas.protocol.errors import InvalidInput
from marketplace.accounts.mandates import (
    Mandate,
    MandateBudget,
    MandateCap,
    MandateCurrency,
    MandateExpired,
    MandateSeller,
)
from marketplace.pricing.commands import configure
from marketplace.sales.commands import Buyer, Spender
from marketplace.sales.models import MandateSpending, Sale
from marketplace.sales.purchasing import buy
from tests.events.threads import PATIENCE_SECONDS, in_threads
from tests.marketplace.sales.toys import FACTORS, TEST, Toys, bought, funds, pay_in, quoted

ATTEMPTS, BUDGETED = 50, 7


def spender(token: str = "token", **terms: object) -> Spender:
    return Spender(token, Mandate("USD", **terms))  # type: ignore[arg-type]


def spent() -> list[int]:
    return list(MandateSpending.objects.values_list("amount", flat=True))


@pytest.mark.django_db
def test_the_budget_of_a_day_is_spent_and_then_refused(maker: str, buyer: str) -> None:
    mine = spender(budget_per_day=2_500)
    bought(buyer, spender=mine)
    bought(buyer, spender=mine)
    with pytest.raises(MandateBudget, match="of today's 2500 500 is left"):
        bought(buyer, spender=mine)
    bought(buyer, spender=spender("another", budget_per_day=2_500))
    assert (funds(buyer), sorted(spent())) == (7_000, [1_000, 2_000])


@pytest.mark.django_db
def test_a_new_day_has_a_new_budget(maker: str, buyer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = spender(budget_per_day=1_000)
    bought(buyer, spender=mine)
    tomorrow = timezone.now() + timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)
    bought(buyer, spender=mine)
    assert spent() == [1_000, 1_000]


@pytest.mark.django_db
def test_what_is_voided_is_back_in_the_budget(maker: str, buyer: str, toys: Toys) -> None:
    def fail(sale: str) -> None:
        assert spent() == [1_000]  # reserved meanwhile
        raise InvalidInput("no")

    toys.work = fail
    with pytest.raises(InvalidInput):
        bought(buyer, spender=spender(budget_per_day=1_000))
    assert spent() == [0]


@pytest.mark.django_db
def test_what_a_settled_price_leaves_over_is_back_in_the_budget(maker: str, buyer: str, toys: Toys) -> None:
    toys.put(seller=maker, factors=FACTORS)
    toys.answer = {"tokens": 10}
    price = Sale.objects.get(id=bought(buyer, spender=spender(budget_per_day=1_700))).price
    assert spent() == [price] == [1_511]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"cap_per_item": 999}, MandateCap),
        ({"sellers": ("somebody else",)}, MandateSeller),
        ({"expires_at": timezone.now() - timedelta(days=1)}, MandateExpired),
    ],
)
def test_what_the_mandate_does_not_cover_is_not_charged(
    terms: dict[str, object], error: type[Exception], maker: str, buyer: str
) -> None:
    with pytest.raises(error):
        bought(buyer, spender=spender(**terms))
    assert (funds(buyer), Sale.objects.count(), spent()) == (10_000, 0, [])


@pytest.mark.django_db
def test_another_currency_than_the_mandates_is_refused(maker: str, buyer: str) -> None:
    with pytest.raises(MandateCurrency):
        bought(buyer, spender=Spender("token", Mandate("EUR")))


@pytest.mark.django_db
def test_the_longest_hold_does_not_change_what_is_reserved(maker: str, buyer: str) -> None:
    configure({"hold_seconds": 86_400}, metadata=TEST)
    bought(buyer, spender=spender())
    assert spent() == [1_000]


@pytest.mark.django_db(transaction=True)
def test_fifty_purchases_at_once_never_exceed_a_budget(
    own_files: object, maker: str, agent_of: Callable[[str], str]
) -> None:
    buyer = agent_of("rich")
    pay_in(buyer, ATTEMPTS * 1_000)
    mine = Buyer(buyer, spender(budget_per_day=BUDGETED * 1_000))
    tokens = [quoted(buyer).token for _ in range(ATTEMPTS)]
    start = Barrier(ATTEMPTS)

    def attempt(token: str) -> bool:
        start.wait(PATIENCE_SECONDS)
        try:
            buy(token, buyer=mine, metadata=TEST)
        except MandateBudget:
            return False
        return True

    results = in_threads(*(lambda token=token: attempt(token) for token in tokens))
    assert (results.count(True), Sale.objects.count()) == (BUDGETED, BUDGETED)
    assert (funds(buyer), spent()) == ((ATTEMPTS - BUDGETED) * 1_000, [BUDGETED * 1_000])


@pytest.mark.django_db(transaction=True)
def test_one_quote_bought_by_many_requests_at_once_is_one_purchase(
    own_files: object, maker: str, buyer: str, toys: Toys
) -> None:
    token = quoted(buyer).token
    start = Barrier(8)

    def attempt() -> str:
        start.wait(PATIENCE_SECONDS)
        try:
            buy(token, buyer=Buyer(buyer), metadata=TEST)
        except Exception as error:
            return type(error).__name__
        return "bought"

    assert set(in_threads(*[attempt] * 8)) <= {"bought", "SaleInProgress"}
    assert (funds(buyer), funds(maker), len(toys.prepared)) == (9_000, 800, 1)
