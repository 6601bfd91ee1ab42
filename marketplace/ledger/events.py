"""The one event by which money moves; it stands in the stream of what it moves for: a sale, a top-up, a payout."""

from dataclasses import dataclass
from enum import StrEnum

from latentmas.events.types import event


class Purpose(StrEnum):
    """Why money moved."""

    HOLD = "hold"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    DISPUTE = "dispute"  # set aside while a sale is in dispute, or back
    TOP_UP = "top-up"
    CHARGE_BACK = "charge-back"  # the payer took a top-up back, or a dispute about it was won
    PAYOUT = "payout"
    BONUS = "bonus"


@dataclass(frozen=True, slots=True)
class Transfer:
    """`amount` minor units leave the account `debit` and arrive on the account `credit`."""

    debit: str
    credit: str
    amount: int


@event("ledger.posted")
@dataclass(frozen=True, slots=True)
class Posted:
    """Transfers that happen together; every one has two sides, so the sum over all accounts stays zero."""

    purpose: Purpose
    transfers: tuple[Transfer, ...]
