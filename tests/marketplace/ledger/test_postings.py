"""Money moves between accounts, and none is made or lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.events.commands import Aggregate, execute_together
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import divide
from marketplace.ledger.accounts import hold, platform, wallet
from marketplace.ledger.balances import balance_of, lock, wallets_of
from marketplace.ledger.errors import InsufficientFunds, WrongCurrency
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.models import LedgerTransfer
from marketplace.ledger.posting import check_covered, posted, reversed_of
from tests.marketplace.ledger.conftest import BANK, TEST, post

ADA, BO = wallet("ada", "USD"), wallet("bo", "USD")
PLATFORM, HELD = platform("USD"), hold("s", "USD")
STREAM: Aggregate[Any] = Aggregate("sale", None, lambda state, event: event)


@pytest.mark.django_db
def test_what_leaves_one_account_arrives_on_the_other() -> None:
    post(Transfer(BANK, ADA, 1000))
    post(Transfer(ADA, HELD, 300), purpose=Purpose.HOLD)
    post(Transfer(HELD, BO, 240), Transfer(HELD, PLATFORM, 45), Transfer(HELD, ADA, 15), purpose=Purpose.CAPTURE)
    assert [balance_of(each) for each in (ADA, BO, HELD, PLATFORM, BANK)] == [715, 240, 0, 45, -1000]
    assert [(row.currency, row.amount) for row in wallets_of("ada")] == [("USD", 715)]


@pytest.mark.django_db
def test_a_reversal_leaves_the_balances_as_they_were() -> None:
    post(Transfer(BANK, ADA, 1000))
    sale = (Transfer(ADA, BO, 80), Transfer(ADA, PLATFORM, 20))
    post(*sale, purpose=Purpose.CAPTURE)
    post(*reversed_of(sale), purpose=Purpose.REFUND)
    assert [balance_of(each) for each in (ADA, BO, PLATFORM)] == [1000, 0, 0]


@pytest.mark.django_db
def test_several_streams_are_recorded_together_or_not_at_all() -> None:
    post(Transfer(BANK, ADA, 100))
    streams = [(STREAM, "one"), (STREAM, "two")]

    def decide(_: object) -> list[list[object]]:
        check_covered(ADA, 150, lock([ADA, BO]))
        return [[posted(Purpose.HOLD, [Transfer(ADA, BO, 75)])] for _ in streams]

    with pytest.raises(InsufficientFunds, match="holds 100 USD, 150 USD is needed"):
        execute_together(streams, decide, metadata=TEST)
    assert LedgerTransfer.objects.count() == 1
    post(Transfer(BANK, ADA, 50))
    assert [each.stream for each in execute_together(streams, decide, metadata=TEST)] == ["sale/one", "sale/two"]
    assert (balance_of(ADA), balance_of(BO)) == (0, 150)


def test_a_transfer_keeps_its_currency_and_is_above_zero() -> None:
    with pytest.raises(WrongCurrency):
        posted(Purpose.TOP_UP, [Transfer(BANK, wallet("ada", "EUR"), 1)])
    with pytest.raises(InvalidInput):
        posted(Purpose.TOP_UP, [Transfer(BANK, ADA, -1)])
    assert posted(Purpose.TOP_UP, [Transfer(BANK, ADA, 0)]).transfers == ()


@given(st.integers(0, 10**12), st.dictionaries(st.text(max_size=3), st.integers(0, 10_000), min_size=1, max_size=9))
def test_the_parts_of_a_division_add_up(amount: int, weights: dict[str, int]) -> None:
    if sum(weights.values()) == 0:
        with pytest.raises(InvalidInput):
            divide(amount, weights)
        return
    parts, total = divide(amount, weights), sum(weights.values())
    assert sum(parts.values()) == amount
    assert all(abs(parts[name] * total - amount * weight) < total for name, weight in weights.items())


def test_equal_remainders_go_to_the_first_named() -> None:
    assert divide(1, {"creator": 80, "platform": 15, "validators": 5}) == {"creator": 1, "platform": 0, "validators": 0}
    assert divide(2, {"a": 1, "b": 1, "c": 1}) == {"a": 1, "b": 1, "c": 0}
