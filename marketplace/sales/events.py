"""Events of a sale. One stream for each: `sale/<quote id>`; the money moves by `ledger.posted` beside them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from latentmas.events.types import event
from marketplace.sales.distribution import Share
from marketplace.sales.goods import Delivery, Helper, Offer


class VoidReason(StrEnum):
    """Why a purchase came to nothing."""

    NOT_PREPARED = "not-prepared"  # the artefact could not be made; `code` says why
    EXPIRED = "expired"  # its hold ran out: the process that carried it out has died, or was too slow


class RefundReason(StrEnum):
    """Why the buyer gets money back."""

    DEFECTIVE = "defective"
    NOT_AS_DESCRIBED = "not-as-described"
    BELOW_CERTIFICATE = "below-certificate"  # the server measured less than what was certified
    DISPUTE = "dispute"
    GOODWILL = "goodwill"


@dataclass(frozen=True, slots=True)
class Spending:
    """What of a token's budget for a day (ISO 8601, UTC) is reserved or given back, in minor units."""

    token: str
    day: str
    amount: int


@dataclass(frozen=True, slots=True)
class SoldFile:
    digest: str  # sha256:<hex>
    size: int
    name: str


@event("sale.opened")
@dataclass(frozen=True, slots=True)
class SaleOpened:
    """A quote was accepted, and the most that the sale may cost is held. A query is in it by its commitment alone."""

    buyer: str
    offer: Offer
    delivery: Delivery
    price: int  # minor units, the most it may cost
    configuration: int  # the version of the price configuration
    held_until: datetime
    spending: Spending | None


@event("sale.captured")
@dataclass(frozen=True, slots=True)
class SaleCaptured:
    """The artefact is the buyer's, and the price is divided."""

    price: int  # minor units, as settled
    file: SoldFile
    tokens: int | None
    helper: Helper | None
    shares: tuple[Share, ...]
    report: str | None  # digest of the file that says what was delivered
    released: Spending | None


@event("sale.voided")
@dataclass(frozen=True, slots=True)
class SaleVoided:
    """Nothing was delivered, and what was held is the buyer's again."""

    reason: VoidReason
    code: str | None  # of the error that kept the artefact from being made
    released: Spending | None


@event("sale.refunded")
@dataclass(frozen=True, slots=True)
class SaleRefunded:
    """The buyer has got back a part of the price, or all of it, from everybody who had a share."""

    amount: int
    reason: RefundReason
    by_curator: bool  # or by the server, which has measured; else by the seller
