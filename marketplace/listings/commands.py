"""List and certify W-Matrices; what comes after is in `lifecycle_commands`.

Each command appends to the stream `listing/<id>` or raises and appends nothing.
"""

from dataclasses import replace
from datetime import datetime

from django.utils import timezone

from latentmas import blobs
from latentmas.events.commands import execute, load
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import InvalidInput
from latentmas.registry.queries import get_model
from marketplace.listings.aggregate import (
    LISTING,
    CertificationDecision,
    decide_certify,
    decide_create,
    decide_publish,
)
from marketplace.listings.compact import compact
from marketplace.listings.events import ListingCreated, StoredFile, VersionPublished
from marketplace.listings.texts import seal


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

    What is recorded has the suite's figures to four digits; the report has all of them.

    Raises NotFound, InvalidInput, Conflict or VersionConflict.
    """
    check_stored(published.file, "file")
    check_stored(published.report, "report")
    published = replace(published, quality=compact(published.quality))
    return execute(
        LISTING,
        listing_id,
        lambda state: decide_publish(state, published),
        metadata=metadata,
        expected=expected,
    )


def certify_version(
    listing_id: str,
    *,
    version: str,
    metadata: Metadata,
    at: datetime | None = None,
    expected: int | None = None,
) -> CertificationDecision:
    """Return the certificate the version's measurement earns, or the recorded refusal with its reasons.

    A decision that still stands is returned without a new event. Raises NotFound, VersionYankedError, VersionConflict.
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


def check_stored(file: StoredFile, field: str) -> None:
    """Raise InvalidInput where the file is not stored, or not of that size."""
    if not blobs.exists(file.digest):
        raise InvalidInput(f"the {field} {file.digest} is not stored; store it first", field=field)
    if (stored := blobs.size(file.digest)) != file.size:
        raise InvalidInput(f"the {field} has {stored} bytes, not {file.size}", field=field)
