"""The dispute aggregate: the state of a stream `dispute/<sale>`, and the events that each command appends. Pure.

While a dispute is open, what the seller's wallet still has of its share lies on an account of the dispute's own. So it
can be neither spent nor paid out, and the wallet's lock alone decides who was first. The end of the dispute puts it
back, and a refund then takes it, and whatever else is due, as every refund does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from latentmas.events.commands import Aggregate
from latentmas.events.types import Envelope
from latentmas.protocol.errors import InvalidInput, NotFound
from marketplace.claims.errors import DisputeClosed, DisputeExists, DisputeTooLate, NothingCharged
from marketplace.claims.events import (
    DisputeAnswered,
    DisputeKind,
    DisputeOpened,
    DisputeResolved,
    DisputeWithdrawn,
    Outcome,
)
from marketplace.ledger.accounts import dispute, wallet
from marketplace.ledger.events import Posted, Purpose, Transfer
from marketplace.ledger.posting import postings, reversed_of
from marketplace.sales import aggregate as sales
from marketplace.sales.aggregate import SaleState
from marketplace.sales.errors import SaleNotCaptured
from marketplace.sales.events import RefundReason
from marketplace.texts.free_text import FreeText

WINDOW = timedelta(days=14)  # after the capture


class DisputeStatus(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


UNDECIDED = (DisputeStatus.OPEN, DisputeStatus.ANSWERED)


@dataclass(frozen=True, slots=True)
class DisputeState:
    """What holds of a sale's dispute: the last one, where the buyer has taken an earlier one back."""

    opened: DisputeOpened | None = None
    status: DisputeStatus | None = None  # None: there was none


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the buyer says, and of which sale, captured when."""

    sale: str
    kind: DisputeKind
    text: FreeText
    captured_at: datetime | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """A curator's decision; `amount` is given where a part is refunded, and nowhere else."""

    outcome: Outcome
    amount: int | None
    reason: FreeText


def evolve(state: DisputeState, event: Envelope) -> DisputeState:
    match event.data:
        case DisputeOpened() as opened:
            return DisputeState(opened, DisputeStatus.OPEN)
        case DisputeAnswered():
            return replace(state, status=DisputeStatus.ANSWERED)
        case DisputeResolved():
            return replace(state, status=DisputeStatus.RESOLVED)
        case DisputeWithdrawn():
            return replace(state, status=DisputeStatus.WITHDRAWN)
    return state


DISPUTE = Aggregate("dispute", DisputeState(), evolve)


def decide_open(
    state: DisputeState, sold: SaleState, complaint: Complaint, balances: Mapping[str, int], *, at: datetime
) -> Sequence[object]:
    """Open a dispute, and set aside what the seller's locked wallet has of its share.

    Raises SaleNotCaptured, DisputeExists, DisputeTooLate or NothingCharged.
    """
    if sold.opened is None or sold.captured is None or complaint.captured_at is None:
        raise SaleNotCaptured("the purchase was not captured; nothing was charged")
    if state.status is not None and state.status is not DisputeStatus.WITHDRAWN:
        raise DisputeExists(f"the dispute of this purchase is {state.status.value}")
    if at > complaint.captured_at + WINDOW:
        raise DisputeTooLate(
            f"the purchase is of {complaint.captured_at:%Y-%m-%d}; disputes are opened within {WINDOW.days} days"
        )
    left, offer = sold.left, sold.opened.offer
    if not (amount := sum(left.values())):
        raise NothingCharged("nothing is left of the price to give back")
    currency = offer.price.currency
    wallets = wallet(offer.seller, currency)
    reserved = min(max(balances[wallets], 0), left.get(wallets, 0))
    opened = DisputeOpened(sold.opened.buyer, offer.seller, complaint.kind, complaint.text, amount, currency, reserved)
    return (*postings(Purpose.DISPUTE, [_reservation(complaint.sale, opened)]), opened)


def decide_answer(state: DisputeState, *, text: FreeText) -> Sequence[object]:
    """Record the seller's answer, once. Raises NotFound or DisputeClosed."""
    _check_undecided(state)
    if state.status is DisputeStatus.ANSWERED:
        raise DisputeClosed("the seller has answered", resolution="A curator decides now.")
    return (DisputeAnswered(text),)


def decide_withdraw(sale: str, state: DisputeState) -> Sequence[object]:
    """End the dispute as the buyer wishes, and put back what was set aside. Raises NotFound or DisputeClosed."""
    return (*_released(sale, _check_undecided(state)), DisputeWithdrawn())


def decide_resolve(
    sale: str, state: DisputeState, sold: SaleState, resolution: Resolution
) -> tuple[Sequence[object], Sequence[object]]:
    """Return the dispute's events and the sale's: put back what was set aside, and refund what was decided.

    Where the seller has given everything back meanwhile, a full refund moves nothing more. Raises NotFound,
    DisputeClosed, InvalidInput or RefundTooLarge.
    """
    opened = _check_undecided(state)
    if (resolution.amount is not None) is not (resolution.outcome is Outcome.PARTLY_REFUNDED):
        raise InvalidInput("an amount is given where a part is refunded, and only there", field="amount")
    wanted = resolution.amount if resolution.amount is not None else sum(sold.left.values())
    given = 0 if resolution.outcome is Outcome.REJECTED else wanted
    refund: Sequence[object] = ()
    if given or resolution.amount is not None:
        refund = sales.decide_refund(sale, sold, amount=given, reason=RefundReason.DISPUTE, by_curator=True)
    resolved = DisputeResolved(resolution.outcome, given, resolution.reason)
    return (*_released(sale, opened), resolved), refund


def _check_undecided(state: DisputeState) -> DisputeOpened:
    if state.opened is None or state.status is None:
        raise NotFound("there is no such dispute", resolution="GET /api/disputes names yours.")
    if state.status not in UNDECIDED:
        raise DisputeClosed(f"the dispute is {state.status.value}")
    return state.opened


def _released(sale: str, opened: DisputeOpened) -> tuple[Posted, ...]:
    return postings(Purpose.DISPUTE, reversed_of([_reservation(sale, opened)]))


def _reservation(sale: str, opened: DisputeOpened) -> Transfer:
    return Transfer(wallet(opened.seller, opened.currency), dispute(sale, opened.currency), opened.reserved)
