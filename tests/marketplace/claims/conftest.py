"""The toys of the sales' tests, and a purchase to make claims about."""

from collections.abc import Callable

import pytest

from marketplace.claims.commands import open_dispute
from marketplace.claims.events import DisputeKind
from marketplace.claims.models import Dispute
from marketplace.sales.models import Sale
from tests.marketplace.sales.conftest import agent_of, buyer, maker, shop, toys  # noqa: F401
from tests.marketplace.sales.toys import TEST, bought

WORDS = "It cannot be read: the file ends after its header."


@pytest.fixture
def sale(maker: str, buyer: str) -> Sale:  # noqa: F811
    """A toy that was bought for 10.00 USD, of which 8.00 are the maker's."""
    return Sale.objects.get(id=bought(buyer))


@pytest.fixture
def disputed(sale: Sale) -> Callable[..., Dispute]:
    """Opens the purchase's dispute, as its buyer does."""

    def make(text: str = WORDS, kind: DisputeKind = DisputeKind.DEFECTIVE) -> Dispute:
        assert sale.captured_at is not None
        open_dispute(sale, agent=sale.buyer, kind=kind, text=text, at=sale.captured_at, metadata=TEST)
        return Dispute.objects.get(id=sale.id)

    return make
