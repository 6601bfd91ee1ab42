"""A W-Matrix on sale whose certificate promises .73 at 256 tokens, and texts that may be named for it."""

from django.utils import timezone

from latentmas.protocol.money import Money
from tests.marketplace import sample

TEXTS = [f"{number}:{' what the agents of the buyer read all day.' * 40}" for number in range(8)]


def certified_of(seller: str, price: int = 1999) -> str:
    """List it for 19.99 USD; return its id."""
    return sample.make_listing(
        listing_id=sample.listing_id_for_seller(seller),
        seller=seller,
        price=Money(price, "USD"),
        quality=sample.with_suite(),
        at=timezone.now(),
    )
