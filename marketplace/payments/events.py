"""Events of top-ups. One stream each: `top-up/<id>`, where `ledger.posted` stands beside those that move money."""

from dataclasses import dataclass
from enum import StrEnum

from latentmas.events.types import event
from marketplace.texts.free_text import FreeText


class FailureCause(StrEnum):
    """Why a top-up came to nothing."""

    REFUSED = "refused"  # by the gateway
    EXPIRED = "expired"  # nobody has paid in time
    CANCELLED = "cancelled"  # at the gateway
    CURATOR = "curator"


@event("top_up.requested")
@dataclass(frozen=True, slots=True)
class TopUpRequested:
    """An agent wants to pay so much in, by a gateway."""

    top_up_id: str
    agent_id: str
    gateway: str
    amount: int  # minor units
    currency: str


@event("top_up.started")
@dataclass(frozen=True, slots=True)
class TopUpStarted:
    """The gateway waits for the payment, which it knows by `reference`."""

    reference: str


@event("top_up.became_unknown")
@dataclass(frozen=True, slots=True)
class TopUpBecameUnknown:
    """The gateway was asked to do something and did not say whether it has."""


@event("top_up.credited")
@dataclass(frozen=True, slots=True)
class TopUpCredited:
    """The payment has come in. `reason` is a curator's, where one has said so."""

    reference: str | None
    reason: FreeText | None = None


@event("top_up.failed")
@dataclass(frozen=True, slots=True)
class TopUpFailed:
    cause: FailureCause
    reason: FreeText | None = None


@event("top_up.disputed")
@dataclass(frozen=True, slots=True)
class TopUpDisputed:
    """The payer disputes so much of the payment; the gateway has taken it back meanwhile."""

    dispute: str  # the gateway's id of it
    amount: int


@event("top_up.dispute_closed")
@dataclass(frozen=True, slots=True)
class TopUpDisputeClosed:
    """A dispute has ended; where it was won, what it took came back."""

    dispute: str
    won: bool


@event("top_up.charged_back")
@dataclass(frozen=True, slots=True)
class TopUpChargedBack:
    """A curator has taken back what was left of a top-up, because the payment was."""

    amount: int
    reason: FreeText


TOP_UP_EVENTS = (
    TopUpRequested,
    TopUpStarted,
    TopUpBecameUnknown,
    TopUpCredited,
    TopUpFailed,
    TopUpDisputed,
    TopUpDisputeClosed,
    TopUpChargedBack,
)
