"""Events of certification that belong to no single listing: rotations of the private texts, and attempts.

Streams: `private-cells/rotations`, and one for the attempts of an account at a pair in a rotation,
`certification-attempts/<id>`.
"""

from dataclasses import dataclass

from latentmas.events.types import event
from marketplace.listings.events.listing import StoredFile


@event("private_cells.opened")
@dataclass(frozen=True, slots=True)
class RotationOpened:
    """From now on files are measured on private texts of this rotation."""

    rotation: int


@event("private_cells.published")
@dataclass(frozen=True, slots=True)
class RotationPublished:
    """The rotation has ended: its seeds, salts and texts are public, and its commitments can be checked."""

    rotation: int
    file: StoredFile  # canonical JSON, as docs/certification.md describes it


@event("certification.attempted")
@dataclass(frozen=True, slots=True)
class CertificationAttempted:
    """A seller's file is being measured on private texts, which tells its seller whether it passes."""

    rotation: int
    listing_id: str
    version: str
    file: str  # sha256:<hex>; the texts are drawn after it is on record
    job: str  # that measures; run again, it is the same attempt
