"""Bring purchases to an end whose process has died: a hold that has run out is given back.

An open sale has no artefact on record: what is recorded is recorded with its capture, in one transaction. So there is
nothing to capture afterwards, and the buyer, who got no answer, gets his money back. A process that is only slow finds
its sale voided, and delivers nothing. That is why this may run at any time.
"""

from dataclasses import dataclass
from datetime import datetime

from latentmas.events.types import Metadata
from marketplace.sales.aggregate import Status
from marketplace.sales.commands import void_sale
from marketplace.sales.events import VoidReason
from marketplace.sales.models import Sale

BATCH = 1_000  # sales in one go


@dataclass(frozen=True, slots=True)
class Reconciled:
    voided: int
    open: int  # those whose hold has not run out


def reconcile(*, at: datetime, everything: bool = False, metadata: Metadata) -> Reconciled:
    """Void the open sales whose hold has run out, the oldest first; with `everything`, all open ones.

    The latter is for a start after a crash, when no process is at work on any.
    """
    waiting = Sale.objects.filter(status=Status.OPEN)
    due = waiting if everything else waiting.filter(held_until__lte=at)
    voided = 0
    while identifiers := list(due.order_by("held_until", "id").values_list("id", flat=True)[:BATCH]):
        ended = sum(bool(void_sale(each, reason=VoidReason.EXPIRED, metadata=metadata)) for each in identifiers)
        voided += ended
        if not ended:
            break  # others have brought them to an end
    return Reconciled(voided, waiting.count())
