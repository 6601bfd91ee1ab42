"""Project who owns, works on and may see a listing; the only writer of that table."""

from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.rows import upsert
from latentmas.events.types import Envelope
from marketplace.listings.events import lifecycle as life
from marketplace.listings.events.listing import ListingCreated
from marketplace.listings.models import ListingMember, Request
from marketplace.listings.projectors import listing_id_of
from marketplace.listings.texts import read_of
from marketplace.texts.erasable import Shown, erase, show
from marketplace.texts.free_text import FreeText

Members = dict[str, ListingMember]


@projector(
    writes=[ListingMember],
    handles=[
        ListingCreated,
        life.TransferOffered,
        life.TransferWithdrawn,
        life.TransferDeclined,
        life.ListingTransferred,
        life.CollaboratorAdded,
        life.CollaboratorRemoved,
        life.AccessRequested,
        life.AccessGranted,
        life.AccessRefused,
        life.TextsErased,
    ],
)
def project_members(events: Sequence[Envelope]) -> None:
    """Lock and read the members of the events' listings, apply the events in order, write the rows."""
    ids = sorted({listing_id_of(event) for event in events})
    rows = ListingMember.objects.select_for_update().filter(listing_id__in=ids).order_by("id")
    members, texts = {row.id: row for row in rows}, read_of([event.data for event in events])
    for event in events:
        _apply(event, members, texts)
    upsert(ListingMember, members.values())


def _apply(event: Envelope, members: Members, texts: Shown) -> None:
    match event.data:
        case ListingCreated(seller=seller):
            _member(event, members, seller).owner = True
        case life.ListingTransferred(seller=seller):
            for row in _of_listing(event, members):
                row.owner, row.offered_at = False, None
            owner = _member(event, members, seller)
            owner.owner, owner.role = True, None
        case life.TransferOffered(to=to):
            for row in _of_listing(event, members):
                row.offered_at = None
            _member(event, members, to).offered_at = event.recorded_at
        case life.TransferWithdrawn(to=to) | life.TransferDeclined(to=to):
            _member(event, members, to).offered_at = None
        case life.CollaboratorAdded(agent=agent, role=role):
            _member(event, members, agent).role = role.value
        case life.CollaboratorRemoved(agent=agent):
            _member(event, members, agent).role = None
        case life.AccessRequested(agent=agent, message=message):
            _set(_member(event, members, agent), Request.ASKED, message, texts)
        case life.AccessGranted(agent=agent):
            _set(_member(event, members, agent), Request.GRANTED, None, texts)
        case life.AccessRefused(agent=agent, reason=reason):
            _set(_member(event, members, agent), Request.REFUSED, reason, texts)
        case life.TextsErased(commitments=commitments):
            erase(_of_listing(event, members), commitments)


def _of_listing(event: Envelope, members: Members) -> list[ListingMember]:
    return [row for row in members.values() if row.listing_id == listing_id_of(event)]


def _member(event: Envelope, members: Members, agent: str) -> ListingMember:
    listing_id = listing_id_of(event)
    row = members.setdefault(
        f"{listing_id}/{agent}", ListingMember(id=f"{listing_id}/{agent}", listing_id=listing_id, agent=agent)
    )
    row.changed_at = event.recorded_at
    return row


def _set(row: ListingMember, request: Request, text: FreeText | None, texts: Shown) -> None:
    row.request, row.message = request, ""
    if text is not None:
        show(row, texts, message=text)
