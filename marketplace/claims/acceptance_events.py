"""Events of an acceptance: the server measures what was bought on texts of the buyer's. One stream for each quote.

The stream is `acceptance/<quote id>`, which is the sale's id too. The texts are in the events by their commitments
alone, and figures are decimal text.
"""

from dataclasses import dataclass
from datetime import datetime

from latentmas.events.types import event


@dataclass(frozen=True, slots=True)
class Promise:
    """What the certificate in force says of contexts of `length` tokens in a mode: at least `low` is kept."""

    mode: str  # a TokenMode
    length: int
    low: str  # decimal: the lower end of the worst register at that length


@dataclass(frozen=True, slots=True)
class Kept:
    """The pooled retention over the texts with its 95 % interval, as decimals."""

    value: str
    low: str
    high: str


@event("acceptance.requested")
@dataclass(frozen=True, slots=True)
class AcceptanceRequested:
    """The buyer has named texts, before the file was delivered; `texts` are their commitments."""

    buyer: str
    seller: str
    item: str
    version: str
    currency: str  # of the price
    promise: Promise
    quote_expires_at: datetime
    texts: tuple[str, ...]


@event("acceptance.measured")
@dataclass(frozen=True, slots=True)
class AcceptanceMeasured:
    """`below`: even the upper end lies below what was promised, and `refunded` minor units went back to the buyer."""

    kept: Kept
    texts: int  # those that were measured on
    scored_tokens: int
    instrument: str
    below: bool
    refunded: int


@event("acceptance.not_measured")
@dataclass(frozen=True, slots=True)
class AcceptanceNotMeasured:
    """Nothing can be said of the file by these texts here, and nothing was refunded."""

    code: str  # of the error that says why


@event("acceptance.lapsed")
@dataclass(frozen=True, slots=True)
class AcceptanceLapsed:
    """The quote led to no purchase, or all of its price was given back before anything was measured."""
