"""Which events of listings who may know of: those of a private listing only its owner, collaborators and granted ones.

What concerns access and collaborators is of who works on the listing alone.
"""

from collections.abc import Mapping, Sequence

from django.db.models import QuerySet

from latentmas.events.changes import Facts, describes_changes
from latentmas.events.changes import Viewer as Agents
from latentmas.events.types import Recorded
from marketplace.listings.events import certification as certification_events
from marketplace.listings.events import lifecycle as life
from marketplace.listings.events import listing as events
from marketplace.listings.models import Listing
from marketplace.listings.projectors import listing_id_of
from marketplace.listings.visibility import Viewer, listed, worked_on


@describes_changes(
    events.ListingCreated,
    events.VersionPublished,
    events.VersionYanked,
    certification_events.VersionMeasured,
    certification_events.VersionCertified,
    certification_events.VersionRefused,
    certification_events.CertificateRevoked,
    certification_events.VersionRecertified,
    life.VersionImported,
    life.VersionScanned,
    life.VersionDeprecated,
    life.AliasMoved,
    life.PriceChanged,
    life.SplitChanged,
    life.ListingTransferred,
    life.AccessChanged,
    life.ListingQuarantined,
    life.ListingReleased,
    life.ListingDelisted,
    life.TextsErased,
)
def of_listings(recorded: Sequence[Recorded], agents: Agents) -> Mapping[int, Facts]:
    """Return the events of the listings that the viewer sees."""
    return _among(recorded, listed(_listings(recorded), Viewer(agents)))


@describes_changes(
    life.ScanBegun,
    life.CollaboratorAdded,
    life.CollaboratorRemoved,
    life.AccessRequested,
    life.AccessGranted,
    life.AccessRefused,
)
def of_members(recorded: Sequence[Recorded], agents: Agents) -> Mapping[int, Facts]:
    """Return the events of the listings that the viewer works on."""
    return _among(recorded, worked_on(_listings(recorded), Viewer(agents)))


@describes_changes(life.TransferOffered, life.TransferWithdrawn, life.TransferDeclined)
def of_transfers(recorded: Sequence[Recorded], agents: Agents) -> Mapping[int, Facts]:
    """Return the events of the listings that the viewer works on, and of those that are or were offered to it."""
    mine: dict[int, Facts] = {event.position: {} for event in recorded if event.data.to in agents}
    return {**_among(recorded, worked_on(_listings(recorded), Viewer(agents))), **mine}


def _listings(recorded: Sequence[Recorded]) -> QuerySet[Listing]:
    return Listing.objects.filter(id__in={listing_id_of(event) for event in recorded})


def _among(recorded: Sequence[Recorded], listings: QuerySet[Listing]) -> Mapping[int, Facts]:
    seen = set(listings.values_list("id", flat=True))
    return {event.position: {} for event in recorded if listing_id_of(event) in seen}
