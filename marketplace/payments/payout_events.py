"""Events of payouts. One stream each: `payout/<id>`, where `ledger.posted` stands beside those that move money."""

from dataclasses import dataclass

from latentmas.events.types import event
from marketplace.texts.free_text import FreeText


@event("payout.requested")
@dataclass(frozen=True, slots=True)
class PayoutRequested:
    """An agent wants so much of its wallet paid to `destination`, which only curators read in full."""

    payout_id: str
    agent_id: str
    amount: int  # minor units
    currency: str
    destination: FreeText


@event("payout.approved")
@dataclass(frozen=True, slots=True)
class PayoutApproved:
    reason: FreeText


@event("payout.paid")
@dataclass(frozen=True, slots=True)
class PayoutPaid:
    """A curator says that the money has left, and by which payment."""

    reason: FreeText


@event("payout.refused")
@dataclass(frozen=True, slots=True)
class PayoutRefused:
    reason: FreeText


@event("payout.cancelled")
@dataclass(frozen=True, slots=True)
class PayoutCancelled:
    """By the agent, before a curator had approved it."""


PAYOUT_EVENTS = (PayoutRequested, PayoutApproved, PayoutPaid, PayoutRefused, PayoutCancelled)
