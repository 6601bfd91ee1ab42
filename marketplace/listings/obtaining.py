"""Remember which agents have got a version's file: they keep it, whatever becomes of the version."""

from django.utils import timezone

from marketplace.listings.models import ListingVersion, ObtainedVersion
from marketplace.listings.visibility import Viewer


def remember_obtained(version: ListingVersion, viewer: Viewer) -> None:
    """Record a download by an agent, once; one of nobody's account leaves no trace."""
    now = timezone.now()
    rows = [ObtainedVersion(agent=agent, version=version.id, obtained_at=now) for agent in sorted(viewer.agents)]
    if rows:
        ObtainedVersion.objects.bulk_create(rows, ignore_conflicts=True)
