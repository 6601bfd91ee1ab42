"""Events of disputes. One stream for each sale: `dispute/<sale>`; `ledger.posted` stands before what sets money aside.

What a person wrote is in them by its commitment alone.
"""

from dataclasses import dataclass
from enum import StrEnum

from latentmas.events.types import event
from marketplace.texts.free_text import FreeText


class DisputeKind(StrEnum):
    """What the buyer says is wrong."""

    DEFECTIVE = "defective"  # it cannot be used at all
    NOT_AS_DESCRIBED = "not-as-described"
    BELOW_CERTIFICATE = "below-certificate"  # worse than its certificate says
    RIGHTS = "rights"  # the seller had no right to sell it
    OTHER = "other"


class Outcome(StrEnum):
    """What a curator has decided."""

    REFUNDED = "refunded"  # all that was left of the price
    PARTLY_REFUNDED = "partly-refunded"
    REJECTED = "rejected"


@event("dispute.opened")
@dataclass(frozen=True, slots=True)
class DisputeOpened:
    """The buyer asks for his money back; of the seller's share `reserved` is set aside until the dispute ends."""

    buyer: str
    seller: str
    kind: DisputeKind
    text: FreeText
    amount: int  # minor units: what is left of the price
    currency: str
    reserved: int  # minor units: what the seller's wallet still had of its share


@event("dispute.answered")
@dataclass(frozen=True, slots=True)
class DisputeAnswered:
    """The seller has said what it thinks of it."""

    text: FreeText


@event("dispute.resolved")
@dataclass(frozen=True, slots=True)
class DisputeResolved:
    """A curator has decided; the refund itself is in the sale's stream, in the same transaction."""

    outcome: Outcome
    amount: int  # minor units that the decision gave back
    reason: FreeText


@event("dispute.withdrawn")
@dataclass(frozen=True, slots=True)
class DisputeWithdrawn:
    """The buyer has taken it back."""
