"""The events of a listing's life as sentences."""

from marketplace.listings.events import lifecycle as life
from marketplace.texts.erasable import Shown


def lifecycle_sentence(data: object, texts: Shown) -> str | None:
    """Return an event as a sentence; None for an event of another kind."""
    match data:
        case life.ScanBegun():
            return f"The file of version {data.version} is scanned."
        case life.VersionScanned(reasons=()):
            return f"Version {data.version} passed its scan and is on offer."
        case life.VersionScanned():
            return f"Version {data.version} did not pass its scan: {'; '.join(data.reasons)}."
        case life.VersionImported():
            return f"Version {data.version} was imported by its card, from {data.registry or 'another registry'}."
        case life.VersionDeprecated():
            instead = f", instead of which {data.successor} is advised" if data.successor else ""
            return f"Version {data.version} deprecated{instead}: {texts[data.reason]}"
        case life.AliasMoved():
            return f"{data.name} is version {data.version}."
        case life.PriceChanged():
            return f"The price is {data.price.amount} minor units of {data.price.currency}."
        case life.SplitChanged():
            shares = data.split
            return f"Later sales are split {shares.creator}/{shares.platform}/{shares.validators}."
        case life.ListingQuarantined():
            return f"In quarantine: {texts[data.reason]}"
        case life.ListingReleased():
            return f"Released from quarantine: {texts[data.reason]}"
        case life.ListingDelisted():
            return f"Delisted: {texts[data.reason]}"
        case life.TextsErased():
            return f"{len(data.commitments)} texts were erased."
    return _about_members(data)


def _about_members(data: object) -> str | None:
    """What is said about access names no message: only the seller and who asked may read it."""
    match data:
        case life.ListingTransferred():
            return f"Handed over to {data.seller}."
        case life.TransferOffered():
            return f"Offered to {data.to}, which may take it over."
        case life.TransferWithdrawn():
            return f"No longer offered to {data.to}."
        case life.TransferDeclined():
            return f"Declined by {data.to}."
        case life.CollaboratorAdded():
            return f"{data.agent} works on it as {data.role.value}."
        case life.CollaboratorRemoved():
            return f"{data.agent} works on it no longer."
        case life.AccessChanged():
            return f"The listing is {data.access.value}."
        case life.AccessRequested():
            return "An agent asked for access."
        case life.AccessGranted():
            return "An agent was granted access."
        case life.AccessRefused():
            return "An agent was refused access."
    return None
