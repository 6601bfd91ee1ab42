"""A refund takes back from everybody who had a share, in proportion, and never more than there was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.events import store
from latentmas.events.errors import VersionConflict
from latentmas.protocol.errors import InvalidInput, NotFound
from latentmas.protocol.money import divide
from marketplace.ledger.accounts import platform, wallet
from marketplace.ledger.balances import balance_of
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.posting import posted
from marketplace.sales.commands import refund_sale
from marketplace.sales.errors import RefundTooLarge, SaleNotCaptured
from marketplace.sales.events import RefundReason
from marketplace.sales.models import Entitlement, Sale
from tests.marketplace.sales.toys import TEST, Toys, bought, funds, total


def refund(sale: str, amount: int | None = None, *, expected: int | None = None) -> None:
    refund_sale(sale, amount=amount, reason=RefundReason.DEFECTIVE, by_curator=False, metadata=TEST, expected=expected)


@pytest.mark.django_db
def test_a_whole_refund_reverses_the_split_that_was_made(maker: str, buyer: str) -> None:
    sale = bought(buyer)
    refund(sale)
    assert (funds(buyer), funds(maker), balance_of(platform("USD")), total()) == (10_000, 0, 0, 0)
    row = Sale.objects.get(id=sale)
    assert (row.status, row.refunded) == ("refunded", 1000)
    assert Entitlement.objects.get(sale=sale).ended_at == row.updated_at


@pytest.mark.django_db
def test_parts_can_be_refunded_until_nothing_is_left(maker: str, buyer: str) -> None:
    sale = bought(buyer)
    for amount, status, left in ((333, "captured", 667), (333, "captured", 334), (334, "refunded", 0)):
        refund(sale, amount)
        assert Sale.objects.get(id=sale).status == status
        assert funds(buyer) == 10_000 - left
        assert total() == 0
    assert (funds(maker), balance_of(platform("USD"))) == (0, 0)


@pytest.mark.django_db
def test_more_than_is_left_is_refused(maker: str, buyer: str) -> None:
    sale = bought(buyer)
    with pytest.raises(RefundTooLarge, match="1001 minor units are asked for; 1000 of 1000"):
        refund(sale, 1001)
    refund(sale, 600)
    with pytest.raises(RefundTooLarge, match="401 minor units are asked for; 400 of 1000"):
        refund(sale, 401)
    refund(sale)
    with pytest.raises(RefundTooLarge):
        refund(sale)
    assert funds(buyer) == 10_000


@pytest.mark.django_db
@pytest.mark.parametrize("amount", [0, -1])
def test_a_refund_of_nothing_is_refused(amount: int, maker: str, buyer: str) -> None:
    with pytest.raises(InvalidInput):
        refund(bought(buyer), amount)


@pytest.mark.django_db
def test_a_seller_who_has_spent_the_money_owes_it(maker: str, buyer: str) -> None:
    sale = bought(buyer)
    spent = posted(Purpose.PAYOUT, [Transfer(wallet(maker, "USD"), "payout:p:USD", 800)])
    store.append(store.New("payout/p", [spent]), metadata=TEST)
    refund(sale)
    assert (funds(maker), funds(buyer), total()) == (-800, 10_000, 0)


@pytest.mark.django_db
def test_what_was_voided_or_never_was_cannot_be_refunded(maker: str, buyer: str, toys: Toys) -> None:
    toys.work = lambda sale: 1 / 0
    with pytest.raises(ZeroDivisionError):
        bought(buyer)
    with pytest.raises(SaleNotCaptured):
        refund(Sale.objects.get().id)
    with pytest.raises(NotFound):
        refund("nothing")


@pytest.mark.django_db
def test_a_refund_says_which_version_it_has_seen(maker: str, buyer: str) -> None:
    sale = bought(buyer)
    seen = Sale.objects.get(id=sale).stream_version
    refund(sale, 100, expected=seen)
    with pytest.raises(VersionConflict):
        refund(sale, 100, expected=seen)


@given(st.integers(1, 10**6), st.data())
def test_any_sequence_of_refunds_takes_from_each_no_more_than_he_has(price: int, data: st.DataObject) -> None:
    left = divide(price, {"creator": 80, "platform": 15, "validators": 5})
    while rest := sum(left.values()):
        amount = data.draw(st.integers((rest + 1) // 2, rest))
        parts = divide(amount, left)
        left = {name: left[name] - parts[name] for name in left}
        assert min(left.values()) >= 0
        assert sum(left.values()) == rest - amount
