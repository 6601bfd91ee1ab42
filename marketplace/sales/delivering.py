"""What a buyer may download of a sale."""

from latentmas.events.commands import load
from marketplace.sales.aggregate import SALE, Status
from marketplace.sales.errors import SaleNotCaptured, SaleRefunded
from marketplace.sales.events import SoldFile
from marketplace.sales.goods import goods_of
from marketplace.sales.models import Sale


def file_of(row: Sale) -> SoldFile:
    """Return the file of a captured sale.

    Of goods that were not prepared for this sale alone, only while nothing stops them: a quarantine stops all. Raises
    SaleNotCaptured, SaleRefunded, and of such goods what their `prepare` does.
    """
    state, _ = load(SALE, row.id)
    if state.status is Status.REFUNDED:
        raise SaleRefunded("the price was given back, and with it the right to the file")
    if state.opened is None or state.captured is None:
        raise SaleNotCaptured(f"the purchase is {state.status}; there is no file")
    if state.opened.offer.ready:
        goods_of(state.opened.offer.kind).prepare(state.opened.offer, state.opened.delivery, sale=row.id)
    return state.captured.file
