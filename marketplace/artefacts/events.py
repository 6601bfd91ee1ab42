"""Events of an artefact on sale: a memory, reasoning chain, long-term memory or file of embeddings.

One stream per artefact: `artefact/<id>`. What the artefact holds is in none of them.
"""

from dataclasses import dataclass

from latentmas.events.types import event
from latentmas.protocol.money import Money
from latentmas.protocol.quality import Interval
from marketplace.listings.events.listing import StoredFile
from marketplace.sales.goods import Kind
from marketplace.texts.free_text import FreeText


@dataclass(frozen=True, slots=True)
class Terms:
    """What a seller asks: the formula's base price, or the price itself where no formula applies (embeddings)."""

    price: Money
    floor: int | None = None  # minor units: sold for no less
    discount: int = 0  # per cent


@dataclass(frozen=True, slots=True)
class Parent:
    """An artefact that this one is made from, and what its seller gets of a sale."""

    artefact_id: str
    basis_points: int  # of the price


@dataclass(frozen=True, slots=True)
class Contents:
    """What anybody may know of a file without reading it."""

    model: str  # registry name
    weights: str | None  # sha256:<hex>
    tokens: int  # 0 for embeddings
    width: int  # numbers in one token's vector, or in one embedding
    method: str  # the coding of its keys and values; `vectors` for embeddings
    raw_bytes: int  # of its numbers at float16
    coded_bytes: int  # of the same as they are stored
    layers: int | None = None
    heads: int | None = None
    head_dim: int | None = None
    next_position: int | None = None  # of the token that the model reads next
    profile: str | None = None  # the codec profile that decoding needs
    parts: int = 1  # steps of a chain, segments of a long-term memory, vectors of a file of embeddings
    steps: tuple[int, ...] = ()  # of a chain: how many tokens it holds at the end of each


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a long-term memory: a snapshot of its own context."""

    segment_id: str
    place: int  # from 0 on
    session: int  # counted from 1
    file: StoredFile
    tokens: int


@event("artefact.listed")
@dataclass(frozen=True, slots=True)
class ArtefactListed:
    artefact_id: str
    kind: Kind
    model: str  # registry name
    seller: str  # an agent
    title: FreeText
    description: FreeText
    terms: Terms


@event("artefact.parents_declared")
@dataclass(frozen=True, slots=True)
class ParentsDeclared:
    """The seller names all artefacts that this one is made from; it replaces what was named before."""

    parents: tuple[Parent, ...]


@event("artefact.version_published")
@dataclass(frozen=True, slots=True)
class VersionPublished:
    """A file that never changes. It is on offer when a screening finds nothing against it."""

    version: str
    file: StoredFile
    contents: Contents
    canary: StoredFile | None  # a part that the seller gives away


@event("artefact.segment_appended")
@dataclass(frozen=True, slots=True)
class SegmentAppended:
    """A long-term memory has one more segment, from the version on that stands beside it."""

    version: str
    segment: Segment


@event("artefact.rights_stated")
@dataclass(frozen=True, slots=True)
class RightsStated:
    """By what right the seller sells a version, and that he knows what he gives away."""

    version: str
    statement: FreeText
    invertible: bool  # agreed: the text that the model has read can be won back from the file; always true


@event("artefact.version_screened")
@dataclass(frozen=True, slots=True)
class VersionScreened:
    """What was found about a version's file; the last screening counts."""

    version: str
    uniqueness: float | None  # one minus the highest similarity to anything listed; null: nothing to compare by
    duplicate_of: str | None  # <artefact>/<version> with the same contents
    findings: tuple[str, ...]  # why it is not offered, in sentences that quote nothing of it
    retention: Interval | None  # measured on its own model; null: not measured


@event("artefact.price_changed")
@dataclass(frozen=True, slots=True)
class PriceChanged:
    """The terms of later sales."""

    terms: Terms


@event("artefact.withdrawn")
@dataclass(frozen=True, slots=True)
class ArtefactWithdrawn:
    """The seller ends the offer for good; who has bought keeps what he has."""

    reason: FreeText


@event("artefact.quarantined")
@dataclass(frozen=True, slots=True)
class ArtefactQuarantined:
    """A curator stops the artefact: nothing of it is offered, given away or changed until its release."""

    reason: FreeText


@event("artefact.released")
@dataclass(frozen=True, slots=True)
class ArtefactReleased:
    reason: FreeText


@event("artefact.texts_erased")
@dataclass(frozen=True, slots=True)
class ArtefactTextsErased:
    """What these commitments are of is gone, and with it the salts that open them."""

    commitments: tuple[str, ...]
