"""Project the events of top-ups and payouts onto their rows, by their aggregates; the only writer of those tables."""

from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.rows import locked, upsert
from latentmas.events.types import Envelope
from marketplace.payments import events, payout_aggregate, payout_events, top_up_aggregate
from marketplace.payments.models import Payout, TopUp
from marketplace.payments.payout_aggregate import PAYOUT, PayoutState, PayoutStatus
from marketplace.payments.top_up_aggregate import TOP_UP, TopUpState, TopUpStatus


@projector(writes=[TopUp], handles=events.TOP_UP_EVENTS)
def project_top_ups(recorded: Sequence[Envelope]) -> None:
    """Lock and read the rows of the events' top-ups, let the aggregate change them in order, write them."""
    ids = sorted({top_up_id_of(event.stream) for event in recorded})
    rows = locked(TopUp, ids)
    for event in recorded:
        identifier = top_up_id_of(event.stream)
        if isinstance(wanted := event.data, events.TopUpRequested):
            rows[identifier] = TopUp(
                id=identifier,
                agent_id=wanted.agent_id,
                gateway=wanted.gateway,
                amount=wanted.amount,
                currency=wanted.currency,
                status=TopUpStatus.REQUESTED.value,
                requested_at=event.recorded_at,
            )
        _change_top_up(rows[identifier], event)
    upsert(TopUp, rows.values())


@projector(writes=[Payout], handles=payout_events.PAYOUT_EVENTS)
def project_payouts(recorded: Sequence[Envelope]) -> None:
    """The same for payouts."""
    ids = sorted({payout_id_of(event.stream) for event in recorded})
    rows = locked(Payout, ids)
    for event in recorded:
        identifier = payout_id_of(event.stream)
        if isinstance(wanted := event.data, payout_events.PayoutRequested):
            rows[identifier] = Payout(
                id=identifier,
                agent_id=wanted.agent_id,
                amount=wanted.amount,
                currency=wanted.currency,
                destination=wanted.destination.commitment or "",
                status=PayoutStatus.REQUESTED.value,
                requested_at=event.recorded_at,
            )
        row = rows[identifier]
        row.status = payout_aggregate.evolve(PayoutState(status=PayoutStatus(row.status)), event).status.value
        row.stream_version, row.updated_at = event.version, event.recorded_at
    upsert(Payout, rows.values())


def top_up_id_of(stream: str) -> str:
    return stream.removeprefix(TOP_UP.stream(""))


def payout_id_of(stream: str) -> str:
    return stream.removeprefix(PAYOUT.stream(""))


def _change_top_up(row: TopUp, event: Envelope) -> None:
    """Let the aggregate say what the event makes of the row."""
    before = TopUpState(
        requested=events.TopUpRequested(row.id, row.agent_id, row.gateway, row.amount, row.currency),
        status=TopUpStatus(row.status),
        reference=row.reference,
        disputes=row.disputes,
        returned=row.returned,
    )
    after = top_up_aggregate.evolve(before, event)
    row.status, row.reference, row.returned = after.status.value, after.reference, after.returned
    row.disputes = dict(after.disputes)
    if isinstance(event.data, events.TopUpFailed):
        row.failure = event.data.cause.value
    elif after.status is not TopUpStatus.FAILED:
        row.failure = None
    row.stream_version, row.updated_at = event.version, event.recorded_at
