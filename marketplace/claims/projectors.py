"""Project the events of disputes and acceptances onto their rows; the only writer of those tables."""

from collections.abc import Sequence

import msgspec

from latentmas.events.projections import projector
from latentmas.events.rows import locked, upsert
from latentmas.events.types import Envelope
from marketplace.claims import acceptance_aggregate, aggregate
from marketplace.claims.acceptance_aggregate import ACCEPTANCE, AcceptanceState
from marketplace.claims.acceptance_events import (
    AcceptanceLapsed,
    AcceptanceMeasured,
    AcceptanceNotMeasured,
    AcceptanceRequested,
)
from marketplace.claims.aggregate import DISPUTE, DisputeState
from marketplace.claims.events import DisputeAnswered, DisputeOpened, DisputeResolved, DisputeWithdrawn
from marketplace.claims.models import Acceptance, Dispute


@projector(writes=[Dispute], handles=[DisputeOpened, DisputeAnswered, DisputeResolved, DisputeWithdrawn])
def project_disputes(events: Sequence[Envelope]) -> None:
    """Lock and read the rows of the events' disputes, apply the events in order, write the rows."""
    ids = sorted({dispute_of(event.stream) for event in events})
    rows = locked(Dispute, ids)
    for event in events:
        identifier = dispute_of(event.stream)
        if isinstance(event.data, DisputeOpened):
            rows[identifier] = _opened(identifier, event)
        _apply(event, rows[identifier])
    upsert(Dispute, rows.values())


@projector(
    writes=[Acceptance],
    handles=[AcceptanceRequested, AcceptanceMeasured, AcceptanceNotMeasured, AcceptanceLapsed],
)
def project_acceptances(events: Sequence[Envelope]) -> None:
    """The same for acceptances."""
    ids = sorted({acceptance_of(event.stream) for event in events})
    rows = locked(Acceptance, ids)
    for event in events:
        identifier = acceptance_of(event.stream)
        if isinstance(event.data, AcceptanceRequested):
            rows[identifier] = _requested(identifier, event)
        _apply_to_acceptance(event, rows[identifier])
    upsert(Acceptance, rows.values())


def dispute_of(stream: str) -> str:
    return stream.removeprefix(DISPUTE.stream(""))


def acceptance_of(stream: str) -> str:
    return stream.removeprefix(ACCEPTANCE.stream(""))


def _opened(identifier: str, event: Envelope) -> Dispute:
    opened: DisputeOpened = event.data
    same = ("buyer", "seller", "amount", "reserved", "currency")
    return Dispute(
        id=identifier,
        kind=opened.kind.value,
        text=opened.text.commitment or "",
        opened_at=event.recorded_at,
        **{name: getattr(opened, name) for name in same},
    )


def _apply(event: Envelope, row: Dispute) -> None:
    status = aggregate.evolve(DisputeState(), event).status
    assert status is not None
    row.status, row.stream_version, row.updated_at = status.value, event.version, event.recorded_at
    if status not in aggregate.UNDECIDED:
        row.ended_at = event.recorded_at
    match event.data:
        case DisputeAnswered(text=text):
            row.answer = text.commitment
        case DisputeResolved(outcome=outcome, amount=amount, reason=reason):
            row.outcome, row.refunded, row.reason = outcome.value, amount, reason.commitment


def _requested(identifier: str, event: Envelope) -> Acceptance:
    requested: AcceptanceRequested = event.data
    same = ("buyer", "seller", "item", "version", "currency", "quote_expires_at")
    return Acceptance(
        id=identifier,
        promise=msgspec.to_builtins(requested.promise),
        named=len(requested.texts),
        requested_at=event.recorded_at,
        **{name: getattr(requested, name) for name in same},
    )


def _apply_to_acceptance(event: Envelope, row: Acceptance) -> None:
    status = acceptance_aggregate.evolve(AcceptanceState(), event).status
    assert status is not None
    row.status, row.stream_version, row.updated_at = status.value, event.version, event.recorded_at
    match event.data:
        case AcceptanceMeasured() as measured:
            row.kept, row.counted = msgspec.to_builtins(measured.kept), measured.texts
            row.scored_tokens, row.below, row.refunded = measured.scored_tokens, measured.below, measured.refunded
        case AcceptanceNotMeasured(code=code):
            row.code = code
