"""Project the listings' events onto the catalogue's rows; the only writer of both tables."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec
from django.db.models import Model

from latentmas.events.projections import projector
from latentmas.events.types import Envelope
from latentmas.protocol.versions import parse_version
from marketplace.listings.aggregate import LISTING
from marketplace.listings.certification_events import (
    CertificateRevoked,
    VersionCertified,
    VersionMeasured,
    VersionRecertified,
    VersionRefused,
)
from marketplace.listings.certified_rows import certify, figures
from marketplace.listings.events import ListingCreated, VersionPublished, VersionYanked
from marketplace.listings.models import Listing, ListingVersion

M = TypeVar("M", bound=Model)
STREAM_PREFIX = LISTING.stream("")
CERTIFICATION = (VersionMeasured, VersionCertified, VersionRefused, CertificateRevoked, VersionRecertified)


@projector(
    writes=[Listing, ListingVersion],
    handles=[ListingCreated, VersionPublished, VersionYanked, *CERTIFICATION],
)
def project_listings(events: Sequence[Envelope]) -> None:
    """Lock and read the rows of the events' listings, apply the events in order, write the rows: four statements."""
    ids = sorted({_listing_id(event) for event in events})
    rows = Listing.objects.select_for_update().filter(id__in=ids).order_by("id")
    listings = {listing.id: listing for listing in rows}
    versions = {each.id: each for each in ListingVersion.objects.filter(listing_id__in=ids).order_by("id")}
    for event in events:
        _apply(event, listings, versions)
    for listing in listings.values():
        _show_newest(listing, [each for each in versions.values() if each.listing_id == listing.id])
    _upsert(Listing, listings.values())
    _upsert(ListingVersion, versions.values())


def _apply(event: Envelope, listings: dict[str, Listing], versions: dict[str, ListingVersion]) -> None:
    identifier = _listing_id(event)
    match event.data:
        case ListingCreated() as created:
            listings[identifier] = _listing(event, created)
        case VersionPublished() as published:
            row = _version(event, listings[identifier], published)
            versions[row.id] = row
        case VersionYanked() as yanked:
            row = versions[f"{identifier}/{yanked.version}"]
            row.yanked_at, row.yanked_reason = event.recorded_at, yanked.reason
        case certification:
            certify(versions[f"{identifier}/{certification.version}"], certification, at=event.recorded_at)
    listings[identifier].updated_at = event.recorded_at
    listings[identifier].stream_version = event.version


def _listing(event: Envelope, created: ListingCreated) -> Listing:
    return Listing(
        id=created.listing_id,
        title=created.title,
        description=created.description,
        source_model=created.source_model,
        target_model=created.target_model,
        space=created.space.value,
        seller=created.seller,
        price_amount=created.price.amount,
        price_currency=created.price.currency,
        licences=msgspec.to_builtins(created.licences),
        tags=list(created.tags),
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
    """Copy the newest unyanked version's figures to the listing, or clear them."""
    offered = [each for each in versions if not each.yanked]
    newest = max(offered, key=lambda each: (each.major, each.minor, each.patch), default=None)
    for name in SHOWN:
        setattr(listing, name, getattr(newest, name, None))
    quality = newest.quality if newest else {}
    aligned, top1 = ((quality.get(name) or {}).get(part) or {} for name, part in FIGURES)
    listing.retention, listing.retention_low, listing.retention_high = map(aligned.get, INTERVAL)
    listing.top1, listing.top1_low, listing.top1_high = map(top1.get, INTERVAL)


def _upsert(model: type[M], rows: Iterable[M]) -> None:
    model._default_manager.bulk_create(
        sorted(rows, key=lambda row: str(row.pk)),
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=[field.name for field in model._meta.concrete_fields if not field.primary_key],
    )


def _listing_id(event: Envelope) -> str:
    return event.stream.removeprefix(STREAM_PREFIX)
