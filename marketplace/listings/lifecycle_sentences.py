"""The events of a listing's life as sentences."""

from marketplace.listings.lifecycle_events import (
    AccessChanged,
    AccessGranted,
    AccessRefused,
    AccessRequested,
    AliasMoved,
    CollaboratorAdded,
    CollaboratorRemoved,
    ListingDelisted,
    ListingQuarantined,
    ListingReleased,
    ListingTransferred,
    PriceChanged,
    ScanBegun,
    SplitChanged,
    TextsErased,
    VersionDeprecated,
    VersionScanned,
)
from marketplace.texts.erasable import Shown


def lifecycle_sentence(data: object, texts: Shown) -> str | None:
    """Return an event as a sentence; None for an event of another kind."""
    match data:
        case ScanBegun():
            return f"The file of version {data.version} is scanned."
        case VersionScanned(reasons=()):
            return f"Version {data.version} passed its scan and is on offer."
        case VersionScanned():
            return f"Version {data.version} did not pass its scan: {'; '.join(data.reasons)}."
        case VersionDeprecated():
            instead = f", instead of which {data.successor} is advised" if data.successor else ""
            return f"Version {data.version} deprecated{instead}: {texts[data.reason]}"
        case AliasMoved():
            return f"{data.name} is version {data.version}."
        case PriceChanged():
            return f"The price is {data.price.amount} minor units of {data.price.currency}."
        case SplitChanged():
            shares = data.split
            return f"Later sales are split {shares.creator}/{shares.platform}/{shares.validators}."
        case ListingQuarantined():
            return f"In quarantine: {texts[data.reason]}"
        case ListingReleased():
            return f"Released from quarantine: {texts[data.reason]}"
        case ListingDelisted():
            return f"Delisted: {texts[data.reason]}"
        case TextsErased():
            return f"{len(data.commitments)} texts were erased."
    return _about_members(data)


def _about_members(data: object) -> str | None:
    """What is said about access names no message: only the seller and who asked may read it."""
    match data:
        case ListingTransferred():
            return f"Handed over to {data.seller}."
        case CollaboratorAdded():
            return f"{data.agent} works on it as {data.role.value}."
        case CollaboratorRemoved():
            return f"{data.agent} works on it no longer."
        case AccessChanged():
            return f"The listing is {data.access.value}."
        case AccessRequested():
            return "An agent asked for access."
        case AccessGranted():
            return "An agent was granted access."
        case AccessRefused():
            return "An agent was refused access."
    return None
