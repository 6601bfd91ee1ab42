"""Who may see a listing, and who may have its files.

| access | sees it in the catalogue | gets its files |
|---|---|---|
| public | everybody | everybody |
| gated | everybody | its owner, who works on it, and whom the seller grants them |
| private | the same | the same |

A quarantine stops both for everybody, but owner, collaborators and curators still see the listing.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from rest_framework.request import Request

from latentmas.rest.permissions import AdministerMarketplace
from marketplace.agents.queries import agents_of
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.models import Listing, ListingMember, ListingVersion, ObtainedVersion
from marketplace.listings.models import Request as AccessRequest


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who reads: the agents that the request may act for, and whether it has a curator's permission."""

    agents: frozenset[str] = frozenset()
    curator: bool = False


NOBODY = Viewer()
WORKS = Q(owner=True) | Q(role__isnull=False)
BELONGS = WORKS | Q(request=AccessRequest.GRANTED)


def viewer_of(request: Request | HttpRequest) -> Viewer:
    """Return who reads: an agent that its token is bound to, or else all agents of its login that are not suspended."""
    user, token = request.user, getattr(request, "auth", None)
    if not user.is_authenticated:
        return NOBODY
    agents = agents_of(user).filter(suspended=None)
    if bound := getattr(token, "agent_id", None):
        agents = agents.filter(id=bound)
    curator = AdministerMarketplace().has_permission(request, None)  # type: ignore[arg-type]  # a page's request will do
    return Viewer(frozenset(agents.values_list("id", flat=True)), curator)


def listed(rows: QuerySet[Listing], viewer: Viewer) -> QuerySet[Listing]:
    """Leave out the private listings that the viewer does not belong to, and that are not offered to it."""
    return rows if viewer.curator else rows.filter(~Q(access=Access.PRIVATE) | Q(id__in=_seen(viewer)))


def worked_on(rows: QuerySet[Listing], viewer: Viewer) -> QuerySet[Listing]:
    """Leave only the listings that the viewer owns or works on."""
    mine = ListingMember.objects.filter(WORKS, agent__in=viewer.agents)
    return rows.filter(id__in=mine.values("listing_id")) if viewer.agents else rows.none()


def obtainable(rows: QuerySet[ListingVersion], viewer: Viewer) -> QuerySet[ListingVersion]:
    """Leave only versions on offer whose files the viewer may have."""
    return rows.filter(Q(access=Access.PUBLIC) | Q(listing_id__in=_belonging(viewer)), offered=True)


def belongs(listing_id: str, viewer: Viewer) -> bool:
    """Return whether the viewer sees the listing and gets its files whatever its access."""
    return bool(viewer.agents) and _memberships(viewer).filter(listing_id=listing_id).exists()


def works_on(listing_id: str, viewer: Viewer) -> bool:
    """Return whether the viewer sees what is not on offer: quarantined listings, and versions before their scan."""
    return viewer.curator or worked_on(Listing.objects.filter(id=listing_id), viewer).exists()


def has_obtained(version: ListingVersion, viewer: Viewer) -> bool:
    """Return whether the viewer has got the version's file before, and therefore keeps it."""
    return bool(viewer.agents) and ObtainedVersion.objects.filter(agent__in=viewer.agents, version=version.id).exists()


def _memberships(viewer: Viewer) -> QuerySet[ListingMember]:
    return ListingMember.objects.filter(BELONGS, agent__in=viewer.agents)


def _seen(viewer: Viewer) -> Any:
    # An agent that may take a listing over sees it, and gets its files only then.
    mine = ListingMember.objects.filter(BELONGS | Q(offered_at__isnull=False), agent__in=viewer.agents)
    return mine.values("listing_id") if viewer.agents else ()


def _belonging(viewer: Viewer) -> Any:
    # Without agents there is nothing to ask for: an empty tuple makes the condition vanish.
    return _memberships(viewer).values("listing_id") if viewer.agents else ()
