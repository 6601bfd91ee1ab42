"""Have what was bought measured on the buyers' texts: the jobs that the factory's handler does.

An acceptance waits until its quote is used. The schedule looks at those that wait, so that neither a purchase nor a
dead worker leaves one behind, and no text is kept longer than it is needed.
"""

from dataclasses import dataclass
from datetime import datetime

from latentmas.events.types import Metadata
from latentmas.jobs.commands import start
from latentmas.jobs.models import OPEN, Job
from marketplace.claims.acceptance_aggregate import ACCEPTANCE, AcceptanceStatus
from marketplace.claims.acceptance_commands import lapse_acceptance, record_not_measured
from marketplace.claims.acceptance_events import Promise
from marketplace.claims.models import Acceptance, AcceptanceText
from marketplace.sales.aggregate import Status
from marketplace.sales.models import Sale

MEASURE = "acceptance.measure"
REQUESTER = "acceptance:{}"  # one open job for each
ATTEMPTS = 3  # jobs that fail without a result: a worker died, or a storage did not answer
GIVEN_UP = "MEASUREMENT_FAILED"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be measured: a version's file, on which texts, and what its certificate promises of them."""

    acceptance: str
    item: str
    version: str
    promise: Promise
    texts: tuple[str, ...]


def order_of(acceptance: str) -> Order | None:
    """Return what is to be measured, None where the acceptance has ended or does not exist."""
    row = Acceptance.objects.filter(id=acceptance, status=AcceptanceStatus.REQUESTED).first()
    if row is None:
        return None
    kept = AcceptanceText.objects.filter(stream=ACCEPTANCE.stream(acceptance)).order_by("commitment")
    texts = tuple(kept.values_list("text", flat=True))
    return Order(row.id, row.item, row.version, Promise(**row.promise), texts)


def keep_up(*, at: datetime, metadata: Metadata) -> None:
    """Start the jobs of what was bought, and end what nobody will buy or what cannot be measured."""
    for row in Acceptance.objects.filter(status=AcceptanceStatus.REQUESTED).order_by("requested_at", "id"):
        sale = Sale.objects.filter(id=row.id).first()
        if sale is None:
            if row.quote_expires_at <= at:
                lapse_acceptance(row.id, metadata=metadata)
        elif sale.status in (Status.VOIDED, Status.REFUNDED):
            lapse_acceptance(row.id, metadata=metadata)
        elif sale.status == Status.CAPTURED:
            _measure(row, metadata)


def _measure(row: Acceptance, metadata: Metadata) -> None:
    """Start a job, unless one is open; give up after some that have failed."""
    jobs = Job.objects.filter(kind=MEASURE, requested_by=REQUESTER.format(row.id))
    if jobs.filter(state__in=OPEN).exists():
        return
    if jobs.count() >= ATTEMPTS:
        record_not_measured(row.id, code=GIVEN_UP, metadata=metadata)
        return
    start(MEASURE, arguments={"acceptance": row.id}, requested_by=REQUESTER.format(row.id), patient=True)
