"""Ask the gateways about top-ups of which it is not known how they end. An answer is recorded once, however often."""

import logging
from collections import Counter
from datetime import datetime, timedelta

from django.utils import timezone

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.payments.gateways.interface import Gateway
from marketplace.payments.gateways.offered import offered
from marketplace.payments.models import TopUp
from marketplace.payments.queries import open_top_ups
from marketplace.payments.top_up_commands import ask_again

PATIENCE = timedelta(minutes=2)  # for the request that has begun it, and the gateway's own message
EXPIRY = timedelta(days=1)  # after which a payment that nobody has made is given up
log = logging.getLogger(__name__)


def waiting(*, at: datetime) -> list[tuple[TopUp, Gateway]]:
    """Return the open top-ups that a gateway can be asked about, the oldest first."""
    gateways = {name: each for name, each in offered().items() if each.asks}
    rows = open_top_ups(before=at - PATIENCE).filter(gateway__in=gateways)
    return [(row, gateways[row.gateway]) for row in rows]


def reconcile(row: TopUp, gateway: Gateway, *, metadata: Metadata) -> str:
    """Ask about one top-up, record the answer, and return its status. Raises PaymentMismatch."""
    ask_again(row, gateway, give_up=row.requested_at < timezone.now() - EXPIRY, metadata=metadata)
    row.refresh_from_db()
    return row.status


def reconcile_all(*, metadata: Metadata) -> Counter[str]:
    """Ask about every open top-up, and count what their statuses are now; one with a problem stops no other."""
    found = Counter[str]()
    for row, gateway in waiting(at=timezone.now()):
        try:
            found[reconcile(row, gateway, metadata=metadata)] += 1
        except LatentMASError as error:
            log.warning("the top-up %s: %s", row.id, error.message)
            found[error.code] += 1
    return found
