"""How the events of sales and of their reviews change a sale's row, and by that the seller's counters.

A sale counts where it was paid for and not wholly refunded, and its review with it: neither free goods nor money that
goes back and forth make a reputation.
"""

from collections.abc import Sequence

from latentmas.events.rows import locked, upsert
from latentmas.events.types import Envelope
from marketplace.ledger.accounts import platform
from marketplace.ledger.events import Posted, Purpose
from marketplace.reputation.counted_items import Changes, add_difference
from marketplace.reputation.models import CountedSale
from marketplace.reputation.review_aggregate import REVIEW
from marketplace.reputation.review_events import ReviewChanged, ReviewRemoved, ReviewWritten
from marketplace.sales.aggregate import SALE
from marketplace.sales.distribution import Recipient
from marketplace.sales.events import SaleCaptured, SaleOpened

SALE_EVENTS = (SaleOpened, SaleCaptured, Posted, ReviewWritten, ReviewChanged, ReviewRemoved)
SALES, REVIEWS = SALE.stream(""), REVIEW.stream("")


def count_sales(events: Sequence[Envelope]) -> Changes:
    """Lock and read the rows of the events' sales, apply the events in order, write the rows; return what changed."""
    changes = Changes()
    wanted = [event for event in events if not isinstance(event.data, Posted) or is_refund(event)]
    if not wanted:  # money that moved for something else
        return changes
    # A review or a refund is recorded after its sale was opened, so of a sale that opens there is no row to read.
    new = {_sale_of(event) for event in wanted if isinstance(event.data, SaleOpened)}
    rows = locked(CountedSale, {_sale_of(event) for event in wanted} - new)
    for event in wanted:
        row = rows.setdefault(_sale_of(event), CountedSale(id=_sale_of(event)))
        before = _counted(row)
        _apply(event, row)
        add_difference(changes, before, _counted(row))
    upsert(CountedSale, rows.values())
    return changes


def is_refund(event: Envelope) -> bool:
    """Return whether money of a sale has gone back to its buyer by a posting."""
    return event.data.purpose is Purpose.REFUND and event.stream.startswith(SALES)


def _counted(row: CountedSale) -> Changes:
    counted = Changes()
    if row.counts:
        counted[row.seller, "sold"] = 1
        if row.rating is not None:
            counted[row.seller, "reviews"] = 1
            counted[row.seller, "ratings"] = row.rating
    return counted


def _apply(event: Envelope, row: CountedSale) -> None:
    match event.data:
        case SaleOpened(buyer=buyer, offer=offer):
            row.buyer, row.seller, row.currency = buyer, offer.seller, offer.price.currency
        case SaleCaptured(price=price, shares=shares):
            row.price, row.captured_at = price, event.recorded_at
            row.platform += sum(share.amount for share in shares if share.recipient is Recipient.PLATFORM)
        case Posted(transfers=transfers):
            row.refunded += sum(each.amount for each in transfers)
            row.platform -= sum(each.amount for each in transfers if each.debit == platform(row.currency))
        case ReviewWritten(rating=rating) | ReviewChanged(rating=rating):
            row.rating = rating
        case ReviewRemoved():
            row.rating = None


def _sale_of(event: Envelope) -> str:
    return event.stream.removeprefix(SALES).removeprefix(REVIEWS)
