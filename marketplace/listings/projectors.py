"""Project the listings' events onto the catalogue's rows; the only writer of both tables.

Texts of persons are copied from the table that they are erased from; see `texts`.
"""

from collections.abc import Iterable, Sequence

import msgspec

from latentmas.events.projections import projector
from latentmas.events.rows import locked, upsert
from latentmas.events.types import Envelope
from latentmas.protocol.versions import parse_version
from marketplace.listings.aggregate import LISTING
from marketplace.listings.certificates.projection import certify, figures
from marketplace.listings.events.certification import (
    CertificateRevoked,
    VersionCertified,
    VersionMeasured,
    VersionRecertified,
    VersionRefused,
)
from marketplace.listings.events.lifecycle import LIFECYCLE, Access
from marketplace.listings.events.listing import ListingCreated, VersionPublished, VersionYanked
from marketplace.listings.lifecycle.projection import apply_lifecycle, is_offered
from marketplace.listings.lifecycle_state import DEFAULT_SPLIT
from marketplace.listings.models import Listing, ListingVersion
from marketplace.listings.texts import read_of
from marketplace.texts.erasable import Shown, show

STREAM_PREFIX = LISTING.stream("")
CERTIFICATION = (VersionMeasured, VersionCertified, VersionRefused, CertificateRevoked, VersionRecertified)


@projector(
    writes=[Listing, ListingVersion],
    handles=[ListingCreated, VersionPublished, VersionYanked, *CERTIFICATION, *LIFECYCLE],
)
def project_listings(events: Sequence[Envelope]) -> None:
    """Lock and read the rows of the events' listings, apply the events in order, write the rows."""
    ids = sorted({listing_id_of(event) for event in events})
    listings = locked(Listing, ids)
    versions = {each.id: each for each in ListingVersion.objects.filter(listing_id__in=ids).order_by("id")}
    texts = read_of([event.data for event in events])
    for event in events:
        _apply(event, listings, versions, texts)
    for listing in listings.values():
        own = [each for each in versions.values() if each.listing_id == listing.id]
        for each in own:
            each.access, each.offered = listing.access, is_offered(listing, each)
        _show_newest(listing, own)
    upsert(Listing, listings.values())
    upsert(ListingVersion, versions.values())


def _apply(event: Envelope, listings: dict[str, Listing], versions: dict[str, ListingVersion], texts: Shown) -> None:
    identifier = listing_id_of(event)
    match event.data:
        case ListingCreated() as created:
            listings[identifier] = _listing(event, created)
            show(listings[identifier], texts, title=created.title, description=created.description)
            if created.statement is not None:
                show(listings[identifier], texts, seller_statement=created.statement)
        case VersionPublished() as published:
            row = _version(event, listings[identifier], published)
            versions[row.id] = row
        case VersionYanked() as yanked:
            row = versions[f"{identifier}/{yanked.version}"]
            row.yanked_at = event.recorded_at
            show(row, texts, yanked_reason=yanked.reason)
        case CertificateRevoked() as revoked:
            row = versions[f"{identifier}/{revoked.version}"]
            certify(row, revoked, at=event.recorded_at)
            show(row, texts, revoked_reason=revoked.reason)
        case certification if isinstance(certification, CERTIFICATION):
            certify(versions[f"{identifier}/{certification.version}"], certification, at=event.recorded_at)
        case _:
            own = {each.version: each for each in versions.values() if each.listing_id == identifier}
            apply_lifecycle(event, listings[identifier], own, texts)
    listings[identifier].updated_at = event.recorded_at
    listings[identifier].stream_version = event.version


def _listing(event: Envelope, created: ListingCreated) -> Listing:
    return Listing(
        id=created.listing_id,
        source_model=created.source_model,
        target_model=created.target_model,
        space=created.space.value,
        seller=created.seller,
        price_amount=created.price.amount,
        price_currency=created.price.currency,
        licences=msgspec.to_builtins(created.licences),
        tags=list(created.tags),
        split=msgspec.to_builtins(DEFAULT_SPLIT),
        access=Access.PUBLIC.value,
        created_at=event.recorded_at,
    )


def _version(event: Envelope, listing: Listing, published: VersionPublished) -> ListingVersion:
    number = parse_version(published.version)
    return ListingVersion(
        id=f"{listing.id}/{published.version}",
        listing_id=listing.id,
        source_model=listing.source_model,
        target_model=listing.target_model,
        space=listing.space,
        version=published.version,
        major=number.major,
        minor=number.minor,
        patch=number.patch,
        method=published.method,
        standard=published.standard,
        source_dimension=published.source_dimension,
        unified_dimension=published.unified_dimension,
        target_dimension=published.target_dimension,
        source_weights=published.source_weights,
        target_weights=published.target_weights,
        file_digest=published.file.digest,
        file_size=published.file.size,
        published_at=event.recorded_at,
        declared=None if published.measured_first else msgspec.to_builtins(published.quality),
        **figures(published.quality, published.report),
    )


SHOWN = (
    "version",
    "method",
    "standard",
    "unified_dimension",
    "basis",
    "basis_rank",
    "epsilon",
    "tier",
    "grade",
    "scope",
    "certified_until",
    "file_digest",
    "file_size",
    "published_at",
)
FIGURES = (("retention", "aligned"), ("retrieval", "top1"))
INTERVAL = ("value", "low", "high")


def _show_newest(listing: Listing, versions: Iterable[ListingVersion]) -> None:
    """Copy the newest version's figures of those on offer to the listing, or clear them."""
    offered = [each for each in versions if each.offered]
    newest = max(offered, key=lambda each: (each.major, each.minor, each.patch), default=None)
    for name in SHOWN:
        setattr(listing, name, getattr(newest, name, None))
    quality = newest.quality if newest else {}
    aligned, top1 = ((quality.get(name) or {}).get(part) or {} for name, part in FIGURES)
    listing.retention, listing.retention_low, listing.retention_high = map(aligned.get, INTERVAL)
    listing.top1, listing.top1_low, listing.top1_high = map(top1.get, INTERVAL)


def listing_id_of(event: Envelope) -> str:
    return event.stream.removeprefix(STREAM_PREFIX)
