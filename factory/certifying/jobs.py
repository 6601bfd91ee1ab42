"""The certifier's job: examine a version's file, record what was found, decide about the certificate.

1. Open the file. Where it is not what its version says, record the refusal; nothing is measured.
2. See that the operator's private texts will do, and count the attempt: a seller has few in a rotation, since each
   tells him a little of the private texts.
3. Measure on the public suite and, where that earns a certificate, on the private texts.
4. Record the measurement and the decision.
"""

from datetime import timedelta
from typing import Any

from factory.cold_start.run import default_session
from factory.publishing import tier_of
from latentmas.events.types import Metadata
from latentmas.jobs.handlers import Json, Queue, Run, handler
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from marketplace.certification.commands import begin_attempt
from marketplace.listings.commands import CERTIFIER, CERTIFY, certify_version, measure_version, refuse_version
from marketplace.listings.models import ListingVersion
from marketplace.listings.queries import get_listing, offered_version
from marketplace.listings.visibility import Viewer

LONGEST = timedelta(days=2)  # with what waits in front of it
METADATA = Metadata(actor=CERTIFIER, request_id=None)
EVERYTHING = Viewer(curator=True)  # private listings are certified, too


def _title(arguments: Json) -> str:
    return f"certify {arguments['listing_id']} {arguments['version']}"


@handler(CERTIFY, queue=Queue.MEASURE, deadline=LONGEST, title=_title)
def certify(run: Run) -> Json:
    """Measure a version and decide about its certificate; return tier and reasons. Raises LatentMASError."""
    from factory.certifying.examination import measured, opened  # brings JAX along
    from factory.certifying.private import operators_texts

    row = offered_version(run.arguments["listing_id"], run.arguments["version"], EVERYTHING)
    session = default_session(stage=run.stage, metadata=METADATA)
    try:
        try:
            examined = opened(row, session)
        except (InvalidInput, DimensionMismatch) as error:
            refuse_version(row.listing_id, version=row.version, error=error)
            raise
        if examined.runs:  # an attempt is counted where nothing but the file can fail it
            operators_texts(session.model(row.target_model), length=session.suite.shortest)
        rotation = begin_attempt(row, account=get_listing(row.listing_id, EVERYTHING).seller, job=str(run.identifier))
        found = measured(examined, session, rotation=rotation)
    finally:
        session.unload_models()
    measure_version(row.listing_id, measured=found, requested_by=run.requested_by)
    return _decide(row)


def _decide(row: ListingVersion) -> Json:
    decision = certify_version(row.listing_id, version=row.version, metadata=METADATA)
    tier, grade = tier_of(decision)
    reasons: Any = getattr(decision, "reasons", ())
    return {
        "listing_id": row.listing_id,
        "version": row.version,
        "tier": tier,
        "grade": grade,
        "reasons": list(reasons),
        "url": f"/api/w-matrices/{row.listing_id}/versions/{row.version}",
    }
