"""Events of a listing. One stream per listing: `listing/<id>`."""

from dataclasses import dataclass

from latentmas.events.types import Payload, event, upcaster
from latentmas.protocol.money import Money
from latentmas.protocol.quality import Quality
from latentmas.protocol.w_matrix import Space
from marketplace.texts.free_text import FreeText


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


@event("listing.created", schema=3)
@dataclass(frozen=True, slots=True)
class ListingCreated:
    listing_id: str
    title: FreeText
    description: FreeText
    source_model: str
    target_model: str
    seller: str
    price: Money
    licences: tuple[ModelLicence, ...]
    tags: tuple[str, ...] = ()
    space: Space = Space.KV_CACHE
    statement: FreeText | None = None  # by what right the seller offers it, in his own words


@event("listing.version_published", schema=3)
@dataclass(frozen=True, slots=True)
class VersionPublished:
    """What a publisher offers, and what he says of it: `quality` is declared or simulated, never measured.

    `measured_first` marks events from before `listing.version_measured`, when the factory was the only publisher and
    wrote what it had measured here.
    """

    version: str
    method: str
    standard: int  # declared ceiling of the unified dimension: 4096, 8192 or 16384
    source_dimension: int
    unified_dimension: int
    target_dimension: int
    source_weights: str | None  # sha256:<hex> of the weights used
    target_weights: str | None
    file: StoredFile
    report: StoredFile | None  # an EvaluationReport as canonical JSON
    quality: Quality
    space: Space = Space.KV_CACHE  # that of its listing
    measured_first: bool = False


@event("listing.version_yanked", schema=2)
@dataclass(frozen=True, slots=True)
class VersionYanked:
    version: str
    reason: FreeText


@upcaster("listing.created", from_schema=1)
@upcaster("listing.version_published", from_schema=1)
def _of_kv_caches(payload: Payload) -> Payload:
    """Every W-Matrix of the first schema maps KV-caches."""
    return {**payload, "space": Space.KV_CACHE.value}


@upcaster("listing.version_published", from_schema=2)
def _by_the_factory(payload: Payload) -> Payload:
    """Until the second schema only the factory published, and it measured first."""
    return {**payload, "measured_first": True}


@upcaster("listing.created", from_schema=2)
def _with_plain_texts(payload: Payload) -> Payload:
    """Until the second schema only the factory wrote titles and descriptions, and they stood in the event."""
    return {**payload, **{name: {"plain": payload[name]} for name in ("title", "description")}}


@upcaster("listing.version_yanked", from_schema=1)
def _with_plain_reason(payload: Payload) -> Payload:
    """The first schema held the reason itself."""
    return {**payload, "reason": {"plain": payload["reason"]}}
