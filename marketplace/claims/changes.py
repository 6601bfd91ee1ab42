"""Who may know of disputes and acceptances: the buyer and the seller; of an acceptance the seller its result alone."""

from collections.abc import Mapping, Sequence

from latentmas.events.changes import Facts, Viewer, describes_changes
from latentmas.events.types import Recorded
from marketplace.claims import events
from marketplace.claims.acceptance_events import (
    AcceptanceLapsed,
    AcceptanceMeasured,
    AcceptanceNotMeasured,
    AcceptanceRequested,
)
from marketplace.claims.models import Acceptance, Dispute
from marketplace.claims.projectors import acceptance_of, dispute_of

TOLD_TO_SELLERS = (AcceptanceMeasured, AcceptanceNotMeasured)


@describes_changes(events.DisputeOpened, events.DisputeAnswered, events.DisputeResolved, events.DisputeWithdrawn)
def of_disputes(recorded: Sequence[Recorded], viewer: Viewer) -> Mapping[int, Facts]:
    """Return the events of the disputes that the viewer is a party to."""
    ids = {dispute_of(event.stream) for event in recorded}
    parties = {row.id: {row.buyer, row.seller} for row in Dispute.objects.filter(id__in=ids)}
    return {event.position: {} for event in recorded if parties[dispute_of(event.stream)] & viewer}


@describes_changes(AcceptanceRequested, AcceptanceMeasured, AcceptanceNotMeasured, AcceptanceLapsed)
def of_acceptances(recorded: Sequence[Recorded], viewer: Viewer) -> Mapping[int, Facts]:
    """Return the events of the viewer's own acceptances, and the results of those of what it has sold."""
    ids = {acceptance_of(event.stream) for event in recorded}
    rows = {row.id: row for row in Acceptance.objects.filter(id__in=ids)}
    told = {
        event.position: {rows[acceptance_of(event.stream)].buyer}
        | ({rows[acceptance_of(event.stream)].seller} if isinstance(event.data, TOLD_TO_SELLERS) else set())
        for event in recorded
    }
    return {event.position: {} for event in recorded if told[event.position] & viewer}
