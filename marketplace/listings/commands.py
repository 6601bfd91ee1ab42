"""List and certify W-Matrices; what comes after is in `lifecycle.commands`.

Each command appends to the stream `listing/<id>` or raises and appends nothing.
"""

from dataclasses import replace
from datetime import datetime

from django.utils import timezone

from latentmas import blobs
from latentmas.events.commands import execute, load
from latentmas.events.types import Metadata, Recorded
from latentmas.jobs.commands import start
from latentmas.jobs.models import Job
from latentmas.protocol.errors import InvalidInput, LatentMASError
from latentmas.registry.queries import get_model
from marketplace.listings.aggregate import (
    LISTING,
    CertificationDecision,
    decide_create,
    decide_publish,
)
from marketplace.listings.certificates.compact import compact
from marketplace.listings.certificates.decisions import (
    decide_certify,
    decide_measure,
    decide_recertify,
    decide_refuse,
    decide_revoke,
)
from marketplace.listings.errors import VersionYankedError
from marketplace.listings.events.certification import VersionMeasured, VersionRecertified, VersionRefused
from marketplace.listings.events.listing import ListingCreated, StoredFile, VersionPublished
from marketplace.listings.texts import seal

CERTIFIER = "certifier"  # the actor of every measurement
CERTIFY = "w-matrix.certify"  # the kind of the job that measures a version


def create_listing(listing: ListingCreated, *, metadata: Metadata, expected: int | None = None) -> list[Recorded]:
    """Open a listing under the registry's names of its models; the same listing again records nothing.

    Raises ModelNotSupported, InvalidInput, Conflict or VersionConflict.
    """
    listing = replace(
        listing,
        source_model=get_model(listing.source_model).name,
        target_model=get_model(listing.target_model).name,
    )
    return execute(
        LISTING,
        listing.listing_id,
        lambda state: seal(listing.listing_id, decide_create(state, listing)),
        metadata=metadata,
        expected=expected,
    )


def publish_version(
    listing_id: str,
    *,
    published: VersionPublished,
    metadata: Metadata,
    expected: int | None = None,
) -> list[Recorded]:
    """Publish a version whose file and report are stored already; the same version again records nothing.

    Its figures are what the publisher says; `measure_version` records what the certifier finds. Raises NotFound,
    InvalidInput, Conflict or VersionConflict.
    """
    require_stored(published.file, "file")
    if published.report is not None:
        require_stored(published.report, "report")
    return execute(
        LISTING,
        listing_id,
        lambda state: decide_publish(state, published),
        metadata=metadata,
        expected=expected,
    )


def measure_version(
    listing_id: str, *, measured: VersionMeasured, requested_by: str | None = None, expected: int | None = None
) -> list[Recorded]:
    """Record what the certifier has measured, whose report is stored already; the same again records nothing.

    It is the certifier who records, whoever has requested it. What is recorded has the suite's figures to four digits;
    the report has all of them. Raises NotFound, VersionYankedError, InvalidInput or VersionConflict.
    """
    require_stored(measured.report, "report")
    measured = replace(measured, quality=compact(measured.quality))
    return execute(
        LISTING,
        listing_id,
        lambda state: decide_measure(state, measured),
        metadata=Metadata(actor=CERTIFIER, correlation_id=requested_by),
        expected=expected,
    )


def refuse_version(listing_id: str, *, version: str, error: LatentMASError) -> list[Recorded]:
    """Record why the certifier does not measure a version's file: its contents are not what they must be.

    Raises NotFound or VersionYankedError.
    """
    refused = VersionRefused(version=version, code=error.code, reasons=(error.message,))
    return execute(LISTING, listing_id, lambda state: decide_refuse(state, refused), metadata=Metadata(actor=CERTIFIER))


def request_certification(listing_id: str, *, version: str, requested_by: str) -> Job:
    """Start the certifier's job for a version that is on record, or return the one under way.

    Whoever handles the kind CERTIFY does the work and answers with commands. Raises NotFound, VersionYankedError,
    Conflict or QueueUnavailable.
    """
    current = load(LISTING, listing_id)[0].version(version)
    if current.yanked:
        raise VersionYankedError(f"version {version} is yanked and is not measured any more")
    return start(CERTIFY, arguments={"listing_id": listing_id, "version": version}, requested_by=requested_by)


def certify_version(
    listing_id: str,
    *,
    version: str,
    metadata: Metadata,
    at: datetime | None = None,
    expected: int | None = None,
) -> CertificationDecision:
    """Return the certificate the version's measurement earns, or the recorded refusal with its reasons.

    A decision that still stands is returned without a new event. Raises NotFound, Conflict, VersionYankedError or
    VersionConflict.
    """
    moment = at or timezone.now()
    recorded = execute(
        LISTING,
        listing_id,
        lambda state: decide_certify(state, version, at=moment),
        metadata=metadata,
        expected=expected,
    )
    if recorded:
        decision: CertificationDecision = recorded[-1].data
        return decision
    standing = load(LISTING, listing_id)[0].version(version).decision
    assert standing is not None
    return standing


def revoke_certificate(
    listing_id: str, *, version: str, reason: str, metadata: Metadata, expected: int | None = None
) -> list[Recorded]:
    """Void a version's certificate; another one needs another measurement.

    Raises NotFound, InvalidInput, Conflict or VersionConflict.
    """
    return execute(
        LISTING,
        listing_id,
        lambda state: seal(listing_id, decide_revoke(state, version, reason=reason)),
        metadata=metadata,
        expected=expected,
    )


def recertify_version(
    listing_id: str, *, submitted: VersionRecertified, metadata: Metadata, expected: int | None = None
) -> VersionRecertified:
    """Return a validator's figures as recorded, with whether they agree; the same again records nothing.

    Raises NotFound, Conflict, InvalidInput or VersionConflict.
    """
    execute(
        LISTING,
        listing_id,
        lambda state: decide_recertify(state, submitted),
        metadata=metadata,
        expected=expected,
    )
    found = load(LISTING, listing_id)[0].version(submitted.version).recertified
    return next(each for each in found if each.validator == submitted.validator)


def require_stored(file: StoredFile, field: str) -> None:
    """Raise InvalidInput unless a file is stored with its size."""
    if not blobs.exists(file.digest):
        raise InvalidInput(f"the {field} {file.digest} is not stored; store it first", field=field)
    if (stored := blobs.size(file.digest)) != file.size:
        raise InvalidInput(f"the {field} has {stored} bytes, not {file.size}", field=field)
