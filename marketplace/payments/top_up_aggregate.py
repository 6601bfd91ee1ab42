"""The top-up aggregate: the state of a stream `top-up/<id>`, and the events that each command appends. Pure.

What moves money comes before the event that says why, so that a stream's version is that of its projection.
A top-up is credited at most once, whoever says so how often; after a failure too, should the money come in after all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from latentmas.events.commands import Aggregate
from latentmas.events.types import Envelope
from latentmas.protocol.errors import Conflict, NotFound
from latentmas.protocol.money import Money
from marketplace.ledger.accounts import gateway, wallet
from marketplace.ledger.events import Posted, Purpose, Transfer
from marketplace.ledger.posting import posted, reversed_of
from marketplace.payments.errors import PaymentMismatch, PaymentReplayed
from marketplace.payments.events import (
    FailureCause,
    TopUpBecameUnknown,
    TopUpChargedBack,
    TopUpCredited,
    TopUpDisputeClosed,
    TopUpDisputed,
    TopUpFailed,
    TopUpRequested,
    TopUpStarted,
)
from marketplace.texts.free_text import FreeText


class TopUpStatus(StrEnum):
    REQUESTED = "requested"
    UNKNOWN = "unknown"  # until the gateway says
    CREDITED = "credited"
    FAILED = "failed"
    DISPUTED = "disputed"
    CHARGED_BACK = "charged-back"


OPEN = (TopUpStatus.REQUESTED, TopUpStatus.UNKNOWN)
PAID_IN = (TopUpStatus.CREDITED, TopUpStatus.DISPUTED, TopUpStatus.CHARGED_BACK)


@dataclass(frozen=True, slots=True)
class TopUpState:
    """What holds of a top-up. `disputes` has the amounts of open ones, `returned` is what went back to the gateway."""

    requested: TopUpRequested | None = None
    status: TopUpStatus = TopUpStatus.REQUESTED
    reference: str | None = None
    disputes: Mapping[str, int] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    returned: int = 0

    @property
    def wanted(self) -> TopUpRequested:
        """What was requested. Raises NotFound for a stream without events."""
        _check_known(self)
        assert self.requested is not None
        return self.requested

    @property
    def left(self) -> int:
        """How much of the payment the gateway has not taken back."""
        return self.wanted.amount - self.returned


def evolve(state: TopUpState, event: Envelope) -> TopUpState:
    match event.data:
        case TopUpRequested() as requested:
            return replace(state, requested=requested)
        case TopUpStarted(reference=reference):
            return replace(state, status=TopUpStatus.REQUESTED, reference=reference)
        case TopUpBecameUnknown():
            return replace(state, status=TopUpStatus.UNKNOWN)
        case TopUpCredited(reference=reference):
            return replace(state, status=TopUpStatus.CREDITED, reference=reference or state.reference)
        case TopUpFailed():
            return replace(state, status=TopUpStatus.FAILED)
        case TopUpDisputed(dispute=dispute, amount=amount):
            return _settled(replace(state, disputes={**state.disputes, dispute: amount}), amount)
        case TopUpDisputeClosed(dispute=dispute, won=won):
            amount = state.disputes[dispute]
            open_ones = {name: each for name, each in state.disputes.items() if name != dispute}
            return _settled(replace(state, disputes=open_ones, closed=state.closed | {dispute}), -amount if won else 0)
        case TopUpChargedBack(amount=amount):
            return _settled(state, amount)
    return state


def _settled(state: TopUpState, returned: int) -> TopUpState:
    """Return the state after so much more, or less, was taken back."""
    state = replace(state, returned=state.returned + returned)
    if state.disputes:
        return replace(state, status=TopUpStatus.DISPUTED)
    return replace(state, status=TopUpStatus.CREDITED if state.left else TopUpStatus.CHARGED_BACK)


TOP_UP = Aggregate("top-up", TopUpState(), evolve)


def decide_request(state: TopUpState, requested: TopUpRequested) -> Sequence[object]:
    """Begin a top-up. Raises PaymentReplayed for one that exists: its id follows from its payment, or is new."""
    if state.requested is not None:
        raise PaymentReplayed(f"the top-up {requested.top_up_id} exists already")
    return (requested,)


def decide_started(state: TopUpState, *, reference: str) -> Sequence[object]:
    """Record that the gateway waits for the payment; not of one that has ended. Raises NotFound."""
    _check_known(state)
    if state.status is TopUpStatus.REQUESTED and state.reference == reference:
        return ()
    return (TopUpStarted(reference),) if state.status in OPEN else ()


def decide_unknown(state: TopUpState) -> Sequence[object]:
    """Record that the gateway has not said what it did; not of one that has ended. Raises NotFound."""
    _check_known(state)
    return (TopUpBecameUnknown(),) if state.status is TopUpStatus.REQUESTED else ()


def decide_credit(
    state: TopUpState, *, received: Money | None, reference: str | None, reason: FreeText | None = None
) -> Sequence[object]:
    """Put into the wallet what has come in; a second time records nothing. Raises NotFound or PaymentMismatch."""
    wanted = state.wanted
    if received != Money(wanted.amount, wanted.currency):
        came = "nothing" if received is None else f"{received.amount} {received.currency}"
        raise PaymentMismatch(f"{came} came in for a top-up of {wanted.amount} {wanted.currency}")
    if state.status in PAID_IN:
        return ()
    return (posted(Purpose.TOP_UP, [_inwards(wanted, wanted.amount)]), TopUpCredited(reference, reason))


def decide_fail(state: TopUpState, *, cause: FailureCause, reason: FreeText | None = None) -> Sequence[object]:
    """Record that nothing will come in; of one that has ended, nothing. Raises NotFound."""
    _check_known(state)
    return (TopUpFailed(cause, reason),) if state.status in OPEN else ()


def decide_dispute(state: TopUpState, *, dispute: str, amount: int) -> Sequence[object]:
    """Take what is disputed out of the wallet, which may fall below zero; each dispute once.

    Raises NotFound, Conflict where nothing came in, or PaymentMismatch for more than what is left.
    """
    if dispute in state.disputes or dispute in state.closed:
        return ()
    _check_left(state, amount)
    return (_back(state.wanted, amount), TopUpDisputed(dispute, amount))


def decide_dispute_closed(state: TopUpState, *, dispute: str, amount: int, won: bool) -> Sequence[object]:
    """End a dispute, once; one that nobody has heard of before is opened first, so that its order does not matter.

    Raises NotFound, Conflict or PaymentMismatch.
    """
    if dispute in state.closed:
        return ()
    opened = decide_dispute(state, dispute=dispute, amount=amount)
    taken = state.disputes.get(dispute, amount)
    returned = (posted(Purpose.CHARGE_BACK, reversed_of(_back(state.wanted, taken).transfers)),) if won else ()
    return (*opened, *returned, TopUpDisputeClosed(dispute, won))


def decide_charge_back(state: TopUpState, *, reason: FreeText) -> Sequence[object]:
    """Take back all that is left of a top-up. Raises NotFound, or Conflict where nothing came in or is left."""
    _check_left(state, 1)
    return (_back(state.wanted, state.left), TopUpChargedBack(state.left, reason))


def _check_known(state: TopUpState) -> None:
    """Raises NotFound for a stream without events."""
    if state.requested is None:
        raise NotFound("there is no such top-up", resolution="GET /api/top-ups names yours.")


def _check_left(state: TopUpState, amount: int) -> None:
    _check_known(state)
    if state.status not in PAID_IN:
        raise Conflict(f"the top-up is {state.status.value}: nothing has come in that could go back")
    if not 0 < amount <= state.left:
        raise PaymentMismatch(f"{amount} cannot go back; {state.left} of the top-up is left")


def _inwards(wanted: TopUpRequested, amount: int) -> Transfer:
    return Transfer(gateway(wanted.gateway, wanted.currency), wallet(wanted.agent_id, wanted.currency), amount)


def _back(wanted: TopUpRequested, amount: int) -> Posted:
    return posted(Purpose.CHARGE_BACK, reversed_of([_inwards(wanted, amount)]))
