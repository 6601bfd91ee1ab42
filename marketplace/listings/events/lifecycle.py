"""Events of a listing's life after its publication, in its stream `listing/<id>`."""

from dataclasses import dataclass, is_dataclass
from enum import StrEnum

from latentmas.events.types import event
from latentmas.protocol.card import ForeignCertificate
from latentmas.protocol.money import Money, Split
from marketplace.texts.free_text import FreeText


class Role(StrEnum):
    """What a collaborator may do beside reading."""

    MAINTAINER = "maintainer"  # all but handing the listing over: collaborators, split, transfer
    PUBLISHER = "publisher"  # publish versions and move aliases


class Access(StrEnum):
    """Who sees a listing, and who gets its files."""

    PUBLIC = "public"
    GATED = "gated"  # everybody sees it; its files are for those whom the seller grants them
    PRIVATE = "private"  # only those see that it exists


@event("listing.scan_begun")
@dataclass(frozen=True, slots=True)
class ScanBegun:
    """A seller has sent the version's file; it is offered when a scan finds nothing against it."""

    version: str
    publisher: str  # the agent
    signature: str | None = None  # of the publisher over the file's digest


@event("listing.version_scanned")
@dataclass(frozen=True, slots=True)
class VersionScanned:
    version: str
    reasons: tuple[str, ...]  # why it is not offered, in sentences; empty: it is


@event("listing.version_imported")
@dataclass(frozen=True, slots=True)
class VersionImported:
    """The version came by its card of another registry, whose certificate is kept and counts for nothing here."""

    version: str
    registry: str | None  # the host that signed feeds were read from; None: a card that somebody sent
    listing_there: str
    certificate: ForeignCertificate | None
    takedown_contact: FreeText | None


@event("listing.version_deprecated")
@dataclass(frozen=True, slots=True)
class VersionDeprecated:
    """Still on offer, but the seller advises another one."""

    version: str
    reason: FreeText
    successor: str | None  # another version of the listing, or <listing>/<version>


@event("listing.alias_moved")
@dataclass(frozen=True, slots=True)
class AliasMoved:
    name: str
    version: str


@event("listing.price_changed")
@dataclass(frozen=True, slots=True)
class PriceChanged:
    """The price of later sales."""

    price: Money


@event("listing.split_changed")
@dataclass(frozen=True, slots=True)
class SplitChanged:
    """The split of later sales."""

    split: Split


@event("listing.transfer_offered")
@dataclass(frozen=True, slots=True)
class TransferOffered:
    """The owner would hand the listing over; it remains the owner's until the agent accepts."""

    to: str  # the agent


@event("listing.transfer_withdrawn")
@dataclass(frozen=True, slots=True)
class TransferWithdrawn:
    to: str  # to whom it was offered


@event("listing.transfer_declined")
@dataclass(frozen=True, slots=True)
class TransferDeclined:
    to: str  # the agent, which declines


@event("listing.transferred")
@dataclass(frozen=True, slots=True)
class ListingTransferred:
    """The agent has accepted."""

    seller: str  # the agent that owns it from now on


@event("listing.collaborator_added")
@dataclass(frozen=True, slots=True)
class CollaboratorAdded:
    """Also when a collaborator gets another role."""

    agent: str
    role: Role


@event("listing.collaborator_removed")
@dataclass(frozen=True, slots=True)
class CollaboratorRemoved:
    agent: str


@event("listing.access_changed")
@dataclass(frozen=True, slots=True)
class AccessChanged:
    access: Access


@event("listing.access_requested")
@dataclass(frozen=True, slots=True)
class AccessRequested:
    agent: str
    message: FreeText | None


@event("listing.access_granted")
@dataclass(frozen=True, slots=True)
class AccessGranted:
    agent: str


@event("listing.access_refused")
@dataclass(frozen=True, slots=True)
class AccessRefused:
    """A request was refused, or what had been granted was withdrawn."""

    agent: str
    reason: FreeText | None


@event("listing.quarantined")
@dataclass(frozen=True, slots=True)
class ListingQuarantined:
    """A curator stops the listing: nothing of it is offered, downloaded, applied or changed until its release."""

    reason: FreeText


@event("listing.released")
@dataclass(frozen=True, slots=True)
class ListingReleased:
    reason: FreeText


@event("listing.delisted")
@dataclass(frozen=True, slots=True)
class ListingDelisted:
    """The seller ends the offer for good; who has got a file keeps it."""

    reason: FreeText


@event("listing.texts_erased")
@dataclass(frozen=True, slots=True)
class TextsErased:
    """What these commitments are of is gone, and with it the salts that open them."""

    commitments: tuple[str, ...]


def _is_event(kind: object) -> bool:
    return isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == __name__


# Every event of this module: all of them move the listing's stream on, those about its members too.
LIFECYCLE: tuple[type, ...] = tuple(filter(_is_event, list(globals().values())))
