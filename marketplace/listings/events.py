"""What happens to a listing. One stream per listing: `listing/<id>`."""

from dataclasses import dataclass
from datetime import datetime

from latentmas.events.types import event
from latentmas.protocol.certification import Grade, Tier
from latentmas.protocol.quality import Quality


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents)."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class ModelLicence:
    """The terms of a model that a W-Matrix was made from."""

    model: str
    licence: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class StoredFile:
    digest: str  # sha256:<hex>
    size: int  # bytes


@event("listing.created")
@dataclass(frozen=True, slots=True)
class ListingCreated:
    listing_id: str
    title: str
    description: str
    source_model: str
    target_model: str
    seller: str
    price: Money
    licences: tuple[ModelLicence, ...]
    tags: tuple[str, ...] = ()


@event("listing.version_published")
@dataclass(frozen=True, slots=True)
class VersionPublished:
    version: str
    method: str
    standard: int  # declared ceiling of the unified dimension: 4096, 8192 or 16384
    source_dimension: int
    unified_dimension: int
    target_dimension: int
    source_weights: str | None  # sha256:<hex> of the weights used
    target_weights: str | None
    file: StoredFile
    report: StoredFile  # an EvaluationReport as canonical JSON
    quality: Quality


@event("listing.version_certified")
@dataclass(frozen=True, slots=True)
class VersionCertified:
    version: str
    tier: Tier
    grade: Grade
    epsilon: float
    issued_at: datetime
    expires_at: datetime


@event("listing.version_refused")
@dataclass(frozen=True, slots=True)
class VersionRefused:
    version: str
    code: str
    reasons: tuple[str, ...]


@event("listing.version_yanked")
@dataclass(frozen=True, slots=True)
class VersionYanked:
    version: str
    reason: str
