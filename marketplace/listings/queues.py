"""What of certification waits for somebody: conditions on versions, for the lists and the counts of the admin."""

from collections.abc import Callable, Mapping
from datetime import datetime

from django.db.models import Q, QuerySet

from latentmas.protocol.quality import Basis
from marketplace.listings.certificates.decisions import RENEWAL
from marketplace.listings.models import ListingVersion

QUEUES: Mapping[str, tuple[str, Callable[[datetime], Q]]] = {
    "unmeasured": ("awaits its measurement", lambda at: Q(measured_at=None, basis=Basis.DECLARED)),
    "undecided": (
        "awaits its certificate",
        lambda at: Q(measured_at__isnull=False, certified_at=None, refusal_code=None, revoked_at=None),
    ),
    "expiring": (
        "certificate is expiring",
        lambda at: Q(tier__isnull=False, certified_until__gt=at, certified_until__lte=at + RENEWAL),
    ),
    "gap": ("declared otherwise than measured", lambda at: Q(declared_gap__isnull=False)),
}


def queued(queue: str, *, at: datetime) -> QuerySet[ListingVersion]:
    """Return the versions on offer that are in a queue, private ones too."""
    _, condition = QUEUES[queue]
    return ListingVersion.objects.filter(condition(at), offered=True)
