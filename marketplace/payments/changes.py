"""Who may know of top-ups and payouts: their agent alone."""

from collections.abc import Mapping, Sequence

from latentmas.events.changes import Facts, Viewer, describes_changes
from latentmas.events.types import Recorded
from marketplace.payments import events, payout_events
from marketplace.payments.models import Payout, TopUp
from marketplace.payments.projectors import payout_id_of, top_up_id_of


@describes_changes(*events.TOP_UP_EVENTS)
def of_top_ups(recorded: Sequence[Recorded], viewer: Viewer) -> Mapping[int, Facts]:
    """Return the events of the viewer's top-ups."""
    ids = {top_up_id_of(event.stream) for event in recorded}
    mine = set(TopUp.objects.filter(id__in=ids, agent_id__in=viewer).values_list("id", flat=True))
    return {event.position: {} for event in recorded if top_up_id_of(event.stream) in mine}


@describes_changes(*payout_events.PAYOUT_EVENTS)
def of_payouts(recorded: Sequence[Recorded], viewer: Viewer) -> Mapping[int, Facts]:
    """Return the events of the viewer's payouts."""
    ids = {payout_id_of(event.stream) for event in recorded}
    mine = set(Payout.objects.filter(id__in=ids, agent_id__in=viewer).values_list("id", flat=True))
    return {event.position: {} for event in recorded if payout_id_of(event.stream) in mine}
