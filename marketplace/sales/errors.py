"""What can go wrong between a price and a delivery; the ledger is then untouched, or the hold is given back."""

from dataclasses import asdict

from latentmas.protocol.errors import Conflict, InvalidInput, LatentMASError
from latentmas.protocol.money import Money

TOP_UP = "/api/top-ups"


class PaymentRequired(LatentMASError):
    """An agent has met a price; the facts are the terms, for machines."""

    code = "PAYMENT_REQUIRED"
    status = 402
    title = "This has a price"
    resolution = "POST the facts' quote body to its address, then the quote to /api/purchases, and send this again."

    def __init__(self, kind: str, item: str, version: str, price: Money) -> None:
        """The facts say the price, how to get a quote, and how to fill a wallet."""
        self.kind, self.item, self.version, self.price = kind, item, version, price
        super().__init__(
            f"version {version} of {item} costs {price.amount} {price.currency} (minor units)",
            price=asdict(price),
            quote={
                "method": "POST",
                "address": "/api/quotes",
                "body": {"kind": kind, "item": item, "version": version},
            },
            purchase={"method": "POST", "address": "/api/purchases"},
            top_up={"method": "POST", "address": TOP_UP},
            accepts=["wallet"],
        )


class Withdrawn(Conflict):
    """The seller or a curator has taken the item off the market; who has bought it keeps it (410 over HTTP)."""

    code = "ITEM_WITHDRAWN"
    status = 410
    title = "The item was withdrawn"
    resolution = "Choose another one."


class QuoteInvalid(InvalidInput):
    """The token was not made here, or was altered."""

    code = "QUOTE_INVALID"
    title = "The quote does not hold"
    resolution = "Ask for a quote with POST /api/quotes, and send its token as it is."


class QuoteNotYours(LatentMASError):
    code = "QUOTE_NOT_YOURS"
    status = 403
    title = "The quote was made for another agent"
    resolution = "Ask for a quote of your own."


class QuoteExpired(Conflict):
    code = "QUOTE_EXPIRED"
    status = 410
    title = "The quote has expired"
    resolution = "Ask for another one; the price may have changed."


class QuoteOutdated(Conflict):
    code = "QUOTE_OUTDATED"
    title = "The item has changed since the quote"
    resolution = "Ask for another quote."


class QuoteUsed(Conflict):
    """The purchase that the quote was used for came to nothing; nothing was charged."""

    code = "QUOTE_USED"
    title = "The quote was used"
    resolution = "Ask for another quote."


class SaleInProgress(Conflict):
    code = "SALE_IN_PROGRESS"
    title = "The purchase is under way"
    resolution = "Send the request again after a while."
    retry_after = 5


class SaleVoidedMeanwhile(Conflict):
    """The hold ran out while the artefact was prepared; the money is back in the wallet."""

    code = "SALE_VOIDED"
    title = "The purchase took too long and was voided"
    resolution = "Ask for another quote."


class OwnGoods(Conflict):
    code = "OWN_GOODS"
    title = "Nobody buys from himself"
    resolution = "You have it already: use it as its owner."


class AlreadyEntitled(Conflict):
    code = "ALREADY_ENTITLED"
    title = "The agent has bought this"
    resolution = "Use it; GET /api/purchases names the purchase."


class SaleNotCaptured(Conflict):
    """There is no captured sale to refund."""

    code = "SALE_NOT_CAPTURED"
    title = "The sale was not captured"


class RefundTooLarge(InvalidInput):
    code = "REFUND_TOO_LARGE"
    title = "The refund is larger than what is left of the sale"


class SaleRefunded(Conflict):
    code = "SALE_REFUNDED"
    status = 410
    title = "The sale was refunded"
    resolution = "Buy it again."


class NotTheSeller(LatentMASError):
    code = "PERMISSION_DENIED"
    status = 403
    title = "This is not allowed"
