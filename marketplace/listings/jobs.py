"""The job that scans a seller's file before its version is offered."""

from datetime import timedelta

from django.conf import settings

from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.jobs.handlers import Json, Queue, Run, handler
from latentmas.protocol.errors import Conflict
from latentmas.protocol.w_matrix import Space
from marketplace.listings.commands import request_certification
from marketplace.listings.lifecycle.commands import record_scan
from marketplace.listings.models import ListingVersion
from marketplace.listings.publishing.publication import SCAN
from marketplace.listings.publishing.scanning import scan_file


@handler(
    SCAN,
    queue=Queue.WORK,
    deadline=timedelta(hours=6),
    title=lambda arguments: f"scan {arguments['listing_id']} {arguments['version']}",
)
def scan(run: Run) -> Json:
    """Scan a version's file, offer the version or record why not, and return what was found."""
    listing_id, version = run.arguments["listing_id"], run.arguments["version"]
    row = ListingVersion.objects.get(id=f"{listing_id}/{version}")
    reasons = scan_file(
        blobs.local_path(row.file_digest),
        source_model=row.source_model,
        target_model=row.target_model,
        space=Space(row.space),
        max_bytes=settings.W_MATRIX_MAX_BYTES,
    )
    record_scan(listing_id, version=version, reasons=reasons, metadata=Metadata(actor=f"job:{run.identifier}"))
    found = {"listing_id": listing_id, "version": version, "offered": not reasons, "reasons": list(reasons)}
    return found if reasons else found | _certification(run)


def _certification(run: Run) -> Json:
    """Have the certifier measure the file; a version that he does not take now is offered all the same."""
    try:
        job = request_certification(**run.arguments, requested_by=run.requested_by)
    except Conflict as error:
        return {"certification_job": None, "certification_problem": error.message}
    return {"certification_job": str(job.id)}
