"""The payout aggregate: the state of a stream `payout/<id>`, and the events that each command appends. Pure.

`balances` are those of all wallets of the agent, locked by the caller: while one is below zero, nothing is paid out.
What moves money comes before the event that says why, so that a stream's version is that of its projection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from latentmas.events.commands import Aggregate
from latentmas.events.types import Envelope
from latentmas.protocol.errors import Conflict, NotFound
from marketplace.ledger.accounts import gateway, payout, wallet
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.posting import check_covered, posted, reversed_of
from marketplace.payments.errors import NegativeBalance
from marketplace.payments.payout_events import (
    PayoutApproved,
    PayoutCancelled,
    PayoutPaid,
    PayoutRefused,
    PayoutRequested,
)
from marketplace.texts.free_text import FreeText

PAID_BY = "manual"  # the gateway by which curators pay out
Balances = Mapping[str, int]


class PayoutStatus(StrEnum):
    REQUESTED = "requested"
    APPROVED = "approved"
    PAID = "paid"
    REFUSED = "refused"
    CANCELLED = "cancelled"


OPEN = (PayoutStatus.REQUESTED, PayoutStatus.APPROVED)


@dataclass(frozen=True, slots=True)
class PayoutState:
    requested: PayoutRequested | None = None
    status: PayoutStatus = PayoutStatus.REQUESTED

    @property
    def wanted(self) -> PayoutRequested:
        """What was requested. Raises NotFound for a stream without events."""
        if self.requested is None:
            raise NotFound("there is no such payout", resolution="GET /api/payouts names yours.")
        return self.requested


def evolve(state: PayoutState, event: Envelope) -> PayoutState:
    match event.data:
        case PayoutRequested() as requested:
            return replace(state, requested=requested)
        case PayoutApproved():
            return replace(state, status=PayoutStatus.APPROVED)
        case PayoutPaid():
            return replace(state, status=PayoutStatus.PAID)
        case PayoutRefused():
            return replace(state, status=PayoutStatus.REFUSED)
        case PayoutCancelled():
            return replace(state, status=PayoutStatus.CANCELLED)
    return state


PAYOUT = Aggregate("payout", PayoutState(), evolve)


def decide_request(state: PayoutState, requested: PayoutRequested, balances: Balances) -> Sequence[object]:
    """Set the amount aside. Raises Conflict, NegativeBalance or InsufficientFunds."""
    if state.requested is not None:
        raise Conflict(f"the payout {requested.payout_id} exists already")
    check_no_debt(balances)
    check_covered(wallet(requested.agent_id, requested.currency), requested.amount, balances)
    return (posted(Purpose.PAYOUT, [_set_aside(requested)]), requested)


def decide_approve(state: PayoutState, *, reason: FreeText, balances: Balances) -> Sequence[object]:
    """Let a requested payout be paid. Raises NotFound, Conflict or NegativeBalance."""
    _check_status(state, PayoutStatus.REQUESTED)
    check_no_debt(balances)
    return (PayoutApproved(reason),)


def decide_paid(state: PayoutState, *, reason: FreeText, balances: Balances) -> Sequence[object]:
    """Record that an approved payout has left. Raises NotFound, Conflict or NegativeBalance."""
    _check_status(state, PayoutStatus.APPROVED)
    check_no_debt(balances)
    wanted = state.wanted
    left = Transfer(payout(wanted.payout_id, wanted.currency), gateway(PAID_BY, wanted.currency), wanted.amount)
    return (posted(Purpose.PAYOUT, [left]), PayoutPaid(reason))


def decide_refuse(state: PayoutState, *, reason: FreeText) -> Sequence[object]:
    """End an open payout, and put the money back. Raises NotFound or Conflict."""
    _check_status(state, *OPEN)
    return (posted(Purpose.PAYOUT, reversed_of([_set_aside(state.wanted)])), PayoutRefused(reason))


def decide_cancel(state: PayoutState) -> Sequence[object]:
    """Take a request back that no curator has approved. Raises NotFound or Conflict."""
    _check_status(state, PayoutStatus.REQUESTED)
    return (posted(Purpose.PAYOUT, reversed_of([_set_aside(state.wanted)])), PayoutCancelled())


def check_no_debt(balances: Balances) -> None:
    """Raises NegativeBalance where a wallet is below zero."""
    for account, amount in sorted(balances.items()):
        if amount < 0:
            raise NegativeBalance(f"{account} holds {amount}; nothing is paid out before it is even", balance=amount)


def _check_status(state: PayoutState, *allowed: PayoutStatus) -> None:
    wanted = state.wanted
    if state.status not in allowed:
        known = " or ".join(each.value for each in allowed)
        raise Conflict(
            f"the payout of {wanted.amount} {wanted.currency} is {state.status.value}; for this it must be {known}"
        )


def _set_aside(requested: PayoutRequested) -> Transfer:
    return Transfer(
        wallet(requested.agent_id, requested.currency),
        payout(requested.payout_id, requested.currency),
        requested.amount,
    )
