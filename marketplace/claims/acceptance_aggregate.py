"""The acceptance aggregate: the state of a stream `acceptance/<quote id>`, and what each command appends. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from latentmas.events.commands import Aggregate
from latentmas.events.types import Envelope
from latentmas.protocol.errors import NotFound
from marketplace.claims.acceptance_events import (
    AcceptanceLapsed,
    AcceptanceMeasured,
    AcceptanceNotMeasured,
    AcceptanceRequested,
    Kept,
    Promise,
)
from marketplace.claims.errors import AcceptanceExists, AcceptanceTooLate
from marketplace.sales import aggregate as sales
from marketplace.sales.aggregate import SaleState
from marketplace.sales.events import RefundReason


class AcceptanceStatus(StrEnum):
    REQUESTED = "requested"
    MEASURED = "measured"
    NOT_MEASURED = "not-measured"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class AcceptanceState:
    requested: AcceptanceRequested | None = None
    status: AcceptanceStatus | None = None  # None: no texts were named


@dataclass(frozen=True, slots=True)
class Figures:
    """What a measurement on the buyer's texts gave."""

    kept: Kept
    texts: int
    scored_tokens: int
    instrument: str


def evolve(state: AcceptanceState, event: Envelope) -> AcceptanceState:
    match event.data:
        case AcceptanceRequested() as requested:
            return AcceptanceState(requested, AcceptanceStatus.REQUESTED)
        case AcceptanceMeasured():
            return replace(state, status=AcceptanceStatus.MEASURED)
        case AcceptanceNotMeasured():
            return replace(state, status=AcceptanceStatus.NOT_MEASURED)
        case AcceptanceLapsed():
            return replace(state, status=AcceptanceStatus.LAPSED)
    return state


ACCEPTANCE = Aggregate("acceptance", AcceptanceState(), evolve)


def is_below(kept: Kept, promise: Promise) -> bool:
    """Return whether the texts contradict the certificate: even the upper end lies below what it promises.

    One document says nothing of it: the certificate's lower end is that of a mean, below which a quarter of honest
    single documents lie.
    """
    return Decimal(kept.high) < Decimal(promise.low)


def decide_request(state: AcceptanceState, sold: SaleState, requested: AcceptanceRequested) -> Sequence[object]:
    """Name the texts. Raises AcceptanceExists, or AcceptanceTooLate where the quote was used."""
    if state.status is not None:
        raise AcceptanceExists("texts were named for this quote")
    if sold.opened is not None:
        raise AcceptanceTooLate("the quote was used before the texts were named")
    return (requested,)


def decide_measured(
    sale: str, state: AcceptanceState, sold: SaleState, figures: Figures
) -> tuple[Sequence[object], Sequence[object]]:
    """Return the acceptance's events and the sale's: what was measured and, where it is below, the whole refund.

    Once it has ended nothing more is recorded. Raises NotFound or SaleNotCaptured.
    """
    requested = _requested(state)
    if state.status is not AcceptanceStatus.REQUESTED:
        return (), ()
    below = is_below(figures.kept, requested.promise)
    refunded = sum(sold.left.values()) if below else 0
    refund: Sequence[object] = ()
    if refunded:
        refund = sales.decide_refund(
            sale, sold, amount=refunded, reason=RefundReason.BELOW_CERTIFICATE, by_curator=True
        )
    measured = AcceptanceMeasured(
        figures.kept, figures.texts, figures.scored_tokens, figures.instrument, below, refunded
    )
    return (measured,), refund


def decide_not_measured(state: AcceptanceState, *, code: str) -> Sequence[object]:
    """Record why nothing was measured; nothing once it has ended. Raises NotFound."""
    _requested(state)
    return (AcceptanceNotMeasured(code),) if state.status is AcceptanceStatus.REQUESTED else ()


def decide_lapse(state: AcceptanceState) -> Sequence[object]:
    """Record that nothing is to be measured; nothing once it has ended. Raises NotFound."""
    _requested(state)
    return (AcceptanceLapsed(),) if state.status is AcceptanceStatus.REQUESTED else ()


def _requested(state: AcceptanceState) -> AcceptanceRequested:
    if state.requested is None:
        raise NotFound("there is no such acceptance", resolution="GET /api/acceptances names yours.")
    return state.requested
