"""A purchase: quote -> hold -> prepare the artefact, outside every transaction -> capture and grant -> deliver.

Two commits, one where nothing is to be prepared. The quote's id is the sale's, so a purchase that is sent again finds
what became of the first one. Where preparing fails the sale is voided, and the error is the buyer's answer.
"""

from django.utils import timezone

from latentmas.events.commands import load
from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.sales.aggregate import SALE, SaleState, Status
from marketplace.sales.commands import Buyer, capture_sale, open_sale, sell_at_once, void_sale
from marketplace.sales.errors import QuoteNotYours, QuoteOutdated, QuoteUsed, SaleInProgress
from marketplace.sales.events import VoidReason
from marketplace.sales.goods import Goods, goods_of
from marketplace.sales.quotes import Quote, check_not_own, check_usable, opened


def buy(token: str, *, buyer: Buyer, metadata: Metadata) -> tuple[str, bool]:
    """Buy what a quote is for, and return the sale's id and whether it is new.

    Raises QuoteInvalid, QuoteNotYours, QuoteExpired, QuoteOutdated, QuoteUsed, SaleInProgress, OwnGoods, what the
    kind's `offer` and `prepare` raise, InsufficientFunds, WrongCurrency, AlreadyEntitled or what the mandate refuses.
    """
    quote = opened(token)
    if _is_bought(quote, buyer, metadata=metadata):
        return quote.id, False
    check_usable(quote, buyer=buyer.agent, at=timezone.now())
    goods = goods_of(quote.offer.kind)
    _check_on_sale(quote, goods)
    if quote.offer.ready:
        prepared = goods.prepare(quote.offer, quote.delivery, sale=quote.id)
        new = bool(sell_at_once(quote, buyer, prepared, at=timezone.now(), metadata=metadata))
    else:
        new = bool(open_sale(quote, buyer, at=timezone.now(), metadata=metadata))
        if new:
            _deliver(quote, goods, metadata=metadata)
    if not new:
        _is_bought(quote, buyer, metadata=metadata)  # another request was faster
    return quote.id, new


def _deliver(quote: Quote, goods: Goods, *, metadata: Metadata) -> None:
    """Prepare and capture. Where that fails, what was held is the buyer's again before the error goes on."""
    try:
        prepared = goods.prepare(quote.offer, quote.delivery, sale=quote.id)
        capture_sale(quote.id, prepared, metadata=metadata)
    except Exception as error:
        code = error.code if isinstance(error, LatentMASError) else None
        void_sale(quote.id, reason=VoidReason.NOT_PREPARED, code=code, metadata=metadata)
        raise


def _is_bought(quote: Quote, buyer: Buyer, *, metadata: Metadata) -> bool:
    """Return whether the quote was used for a sale that was captured; False: it was not used yet.

    Raises QuoteNotYours, QuoteUsed where the sale came to nothing, or SaleInProgress.
    """
    state, _ = load(SALE, quote.id)
    if state.opened is None:
        return False
    if quote.buyer != buyer.agent:
        raise QuoteNotYours("the quote was made for another agent")
    if state.status is Status.OPEN:
        if state.opened.held_until > timezone.now():
            raise SaleInProgress("the purchase with this quote is under way")
        void_sale(quote.id, reason=VoidReason.EXPIRED, metadata=metadata)
        state, _ = load(SALE, quote.id)
    if state.voided is not None:
        raise QuoteUsed(_why(state), code=state.voided.code)
    return True


def _why(state: SaleState) -> str:
    assert state.voided is not None
    because = f" ({state.voided.code})" if state.voided.code else ""
    return f"the purchase with this quote was voided: {state.voided.reason.value}{because}; nothing was charged"


def _check_on_sale(quote: Quote, goods: Goods) -> None:
    """Ask again whether the item is on sale: it may have been withdrawn since the quote."""
    check_not_own(quote.offer.seller, quote.buyer)
    now = goods.offer(quote.offer.item, quote.offer.version, quote.delivery, buyer=quote.buyer)
    if (now.version, now.digest) != (quote.offer.version, quote.offer.digest):
        raise QuoteOutdated("the item's file is another one than that of the quote")
