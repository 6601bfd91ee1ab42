"""What the events of a listing's life change in the rows of the catalogue."""

from collections.abc import Mapping

import msgspec

from latentmas.events.types import Envelope
from marketplace.listings.events import lifecycle as life
from marketplace.listings.models import Listing, ListingVersion, Scan
from marketplace.texts.erasable import Shown, erase, show

Versions = Mapping[str, ListingVersion]  # of one listing, by number


def apply_lifecycle(event: Envelope, listing: Listing, versions: Versions, texts: Shown) -> None:
    """Change a listing and its versions by one event of its life; any other changes nothing."""
    match event.data:
        case life.PriceChanged(price=price):
            listing.price_amount, listing.price_currency = price.amount, price.currency
        case life.SplitChanged(split=split):
            listing.split = msgspec.to_builtins(split)
        case life.AliasMoved(name=name, version=version):
            listing.aliases = listing.aliases | {name: version}
        case life.ListingTransferred(seller=seller):
            listing.seller = seller
        case life.AccessChanged(access=access):
            listing.access = access.value
        case life.ListingQuarantined(reason=reason):
            listing.quarantined_at = event.recorded_at
            show(listing, texts, withheld_reason=reason)
        case life.ListingReleased():
            listing.quarantined_at, listing.withheld_reason = None, ""
        case life.ListingDelisted(reason=reason):
            listing.delisted_at = event.recorded_at
            show(listing, texts, withheld_reason=reason)
        case life.TextsErased(commitments=commitments):
            erase([listing, *versions.values()], commitments)
        case _:
            _apply_to_version(event, versions, texts)


def _apply_to_version(event: Envelope, versions: Versions, texts: Shown) -> None:
    match event.data:
        case life.ScanBegun(version=version, publisher=publisher):
            versions[version].scan, versions[version].publisher = Scan.SCANNING, publisher
        case life.VersionScanned(version=version, reasons=reasons):
            versions[version].scan = Scan.REFUSED if reasons else Scan.PASSED
            versions[version].scan_reasons = list(reasons)
        case life.VersionImported(version=version) as imported:
            versions[version].imported = {
                "registry": imported.registry,
                "listing_id": imported.listing_there,
                "version": version,
                "certificate": msgspec.to_builtins(imported.certificate),
            }
            if imported.takedown_contact is not None:
                show(versions[version], texts, takedown_contact=imported.takedown_contact)
        case life.VersionDeprecated(version=version, reason=reason, successor=successor):
            versions[version].deprecated_at, versions[version].successor = event.recorded_at, successor
            show(versions[version], texts, deprecated_reason=reason)


def is_offered(listing: Listing, version: ListingVersion) -> bool:
    """Return whether a version is on offer, to those who see its listing."""
    withheld = listing.quarantined_at is not None or listing.delisted_at is not None
    return not (withheld or version.yanked) and version.scanned
