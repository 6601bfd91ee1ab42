"""Writes of certification that concern no single listing. A version's own are `marketplace.listings.commands`."""

from latentmas.events.commands import execute, load
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput
from marketplace.agents.models import Agent
from marketplace.certification.aggregate import (
    ALL,
    ATTEMPTS,
    ROTATIONS,
    attempts_id,
    decide_attempt,
    decide_open,
    decide_publish,
)
from marketplace.certification.events import CertificationAttempted, RotationPublished
from marketplace.certification.signing import require_signed
from marketplace.listings.commands import CERTIFIER, recertify_version, require_stored
from marketplace.listings.events.certification import VersionRecertified
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.models import Listing, ListingVersion

METADATA = Metadata(actor=CERTIFIER, request_id=None)


def open_rotation() -> int:
    """Return the number of the open rotation, opened now where none is."""
    execute(ROTATIONS, ALL, decide_open, metadata=METADATA)
    return load(ROTATIONS, ALL)[0].newest


def publish_rotation(rotation: int, file: StoredFile, *, metadata: Metadata) -> None:
    """End a rotation; its file is stored already and names its texts. Raises InvalidInput or Conflict."""
    require_stored(file, "file")
    published = RotationPublished(rotation, file)
    execute(ROTATIONS, ALL, lambda state: decide_publish(state, published), metadata=metadata)


def submit_recertification(
    row: ListingVersion, submitted: VersionRecertified, *, agent: Agent, metadata: Metadata
) -> VersionRecertified:
    """Return a validator's figures as recorded, with whether they agree.

    Raises InvalidInput where the validator and the seller are the same login's, what `require_signed` raises, and what
    `recertify_version` raises.
    """
    require_signed(submitted)
    sellers = Listing.objects.filter(id=row.listing_id).values("seller")
    if Agent.objects.filter(id__in=sellers, owner=agent.owner).exists():
        raise InvalidInput("the seller of a version is not its validator", field="validator")
    return recertify_version(row.listing_id, submitted=submitted, metadata=metadata)


def begin_attempt(row: ListingVersion, *, account: str, job: str) -> int:
    """Count an attempt at a version's certificate and return the rotation. Raises AttemptsSpent."""
    rotation = open_rotation()
    attempted = CertificationAttempted(rotation, row.listing_id, row.version, row.file_digest, job)
    execute(
        ATTEMPTS,
        attempts_id(rotation=rotation, source=row.source_model, target=row.target_model, account=account),
        lambda state: decide_attempt(state, attempted),
        metadata=METADATA,
    )
    return rotation
