"""Who need not pay for a W-Matrix any more, and who has to.

The owner and who works on a listing use it free of charge, and so does an agent that has bought the major version. What
an agent has got before, free of charge or not, it keeps (`keeps`). Everybody else meets the price.
"""

from collections.abc import Sequence

from latentmas.protocol.money import Money
from marketplace.listings.models import Listing, ListingVersion, ObtainedVersion
from marketplace.listings.visibility import Viewer, has_obtained, worked_on
from marketplace.sales.errors import PaymentRequired
from marketplace.sales.goods import Kind
from marketplace.sales.queries import covers, entitlements


def keeps(row: ListingVersion, viewer: Viewer) -> bool:
    """Return whether the viewer may have the version's file whatever becomes of it: it has got or bought it."""
    return has_obtained(row, viewer) or covers(Kind.W_MATRIX, row.listing_id, row.version, viewer.agents)


def require_paid(listing: Listing, row: ListingVersion, viewer: Viewer) -> None:
    """Raise PaymentRequired unless the version is free, or the viewer owns the listing or works on it."""
    if listing.price_amount and not worked_on(Listing.objects.filter(id=listing.id), viewer).exists():
        raise _payment_required(row, Money(listing.price_amount, listing.price_currency))


def has_price(row: ListingVersion) -> bool:
    """Return whether the version is sold: its file is then no public one."""
    return bool(_prices({row.listing_id}))


def first_paid(rows: Sequence[ListingVersion], payer: Viewer | None) -> ListingVersion:
    """Return the first of the rows, which are not none, that the payer may use; the first one for nobody.

    Raises PaymentRequired with the terms of the first one where all have a price that is not paid.
    """
    if payer is None:
        return rows[0]
    prices = _prices({row.listing_id for row in rows})
    usable = _usable([row for row in rows if row.listing_id in prices], payer)
    for row in rows:
        if row.listing_id not in prices or row.id in usable:
            return row
    raise _payment_required(rows[0], prices[rows[0].listing_id])


def _usable(rows: Sequence[ListingVersion], payer: Viewer) -> set[str]:
    """Return the ids of the versions with a price that are the payer's, bought by it, or that it has got before."""
    if not (rows and payer.agents):
        return set()
    listings = {row.listing_id for row in rows}
    own = set(worked_on(Listing.objects.filter(id__in=listings), payer).values_list("id", flat=True))
    bought = set(entitlements(Kind.W_MATRIX, listings, payer.agents).values_list("item", "major"))
    got = ObtainedVersion.objects.filter(agent__in=payer.agents, version__in=[row.id for row in rows])
    kept = set(got.values_list("version", flat=True))
    return {
        row.id for row in rows if row.listing_id in own or (row.listing_id, str(row.major)) in bought or row.id in kept
    }


def _prices(listings: set[str]) -> dict[str, Money]:
    priced = Listing.objects.filter(id__in=listings, price_amount__gt=0)
    columns = priced.values_list("id", "price_amount", "price_currency")
    return {listing: Money(amount, currency) for listing, amount, currency in columns}


def _payment_required(row: ListingVersion, price: Money) -> PaymentRequired:
    return PaymentRequired(Kind.W_MATRIX, row.listing_id, row.version, price)
