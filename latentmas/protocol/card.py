"""The card of a version for machines, and the feed of cards: what a router needs to choose a mapper and to apply it.

A fact that is not known is null, never guessed. `GET /api/feed/schema` is the JSON Schema of these types.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from latentmas.protocol.certification import Certification, Grade, Tier
from latentmas.protocol.dsse import DsseEnvelope
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Instrument, PrivateCells, Quality, Tokenizer
from latentmas.protocol.w_matrix import Method, Space

ROW_ORDER = "layer by layer: the keys of all heads, RoPE removed, then the values of all heads"

Status = Literal["certified", "expiring", "expired", "refused", "revoked", "pending"]


@dataclass(frozen=True, slots=True)
class FileFacts:
    digest: str  # sha256:<hex> of the file's bytes
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Price:
    amount: int  # minor units
    currency: str


@dataclass(frozen=True, slots=True)
class ModelSide:
    """One of the two models. `geometry` has layers, heads, RoPE and windows; null where these are not published."""

    model: str
    hub_id: str | None
    weights: str | None  # sha256:<hex> of the weights that the figures hold for
    tokenizer: Tokenizer | None
    dimension: int  # width of a row
    geometry: KVGeometry | None


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """A model's licence, and what it says of works derived from the model, which a map may be; null: not known."""

    model: str
    licence: str | None
    url: str | None
    derived_maps: str | None


@dataclass(frozen=True, slots=True)
class Rights:
    models: tuple[ModelTerms, ...]
    seller_statement: str | None  # by what right the seller offers it, in his own words; nobody has checked it
    takedown_contact: str | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the certifier measured with, and how the file did on texts that its seller could not know."""

    measured_at: datetime
    instrument: Instrument
    made_here: bool
    private: PrivateCells | None


@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """The DSSE envelope of a certificate, and the position in the log where it is recorded."""

    envelope: DsseEnvelope
    position: int


@dataclass(frozen=True, slots=True)
class ForeignCertificate:
    """What another registry certifies of the file: a reference, which counts for nothing here.

    `checked`: its signature was checked here with that registry's key.
    """

    tier: Tier
    grade: Grade
    issued_at: datetime
    expires_at: datetime
    key_id: str
    checked: bool
    envelope: DsseEnvelope


@dataclass(frozen=True, slots=True)
class Imported:
    """Where a version that came by its card is from: the listing and the version of another registry."""

    registry: str | None  # the host that signed feeds were read from; null: a card that somebody sent
    listing_id: str
    version: str
    certificate: ForeignCertificate | None
    takedown_contact: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """One version of a W-Matrix. `quality` has retention with its controls, by register and context length."""

    listing_id: str
    version: str
    space: Space
    method: Method
    seller: str
    price: Price
    file: FileFacts
    report: FileFacts | None
    source: ModelSide
    target: ModelSide
    unified_dimension: int
    standard: int
    row_order: str | None  # null where it maps no KV-cache
    registers: tuple[str, ...]
    context_lengths: tuple[int, ...]  # tokens of the target
    cost_per_token: int  # multiply-adds
    quality: Quality
    declared: Quality | None
    declared_gap: float | None  # declared minus measured, where outside the measured interval
    measurement: Measurement | None
    status: Status
    certification: Certification | None  # null unless it is valid
    signed: SignedCertificate | None  # null until the certificate is signed
    validated_by: tuple[str, ...]
    rights: Rights
    published_at: datetime
    url: str
    file_url: str
    kind: Literal["latentmas/card/1"] = "latentmas/card/1"
    imported: Imported | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """A page of the certified mappers, in the order of their listings; `next` is the address of the page after it."""

    cards: tuple[Card, ...]
    next: str | None
    kind: Literal["latentmas/feed/1"] = "latentmas/feed/1"
