"""Reads of the catalogue. The time is a parameter, because certificates expire."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.db.models import Q, QuerySet

from latentmas import blobs
from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import NotFound, StorageUnavailable
from latentmas.protocol.quality import Basis, EvaluationReport, Interval
from latentmas.protocol.w_matrix import Space
from latentmas.registry.models import RegisteredModel
from marketplace.listings.errors import (
    AccessRequired,
    ListingIsDelisted,
    ListingIsQuarantined,
    NotAllowed,
    VersionNotOffered,
    VersionYankedError,
)
from marketplace.listings.estimates import MeasuredPair
from marketplace.listings.events.lifecycle import Access, Role
from marketplace.listings.models import ON_OFFER, ORDER, UNSCANNED, Listing, ListingMember, ListingVersion, Scan
from marketplace.listings.paying import keeps, require_paid
from marketplace.listings.visibility import NOBODY, Viewer, belongs, listed, works_on
from marketplace.sales.errors import PaymentRequired

NUL = "\x00"


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of the catalogue; None is "any". `family` is that of either model, `price_max` in minor units."""

    source_model: str | None = None
    target_model: str | None = None
    family: str | None = None
    tier: Tier | None = None
    basis: Basis | None = None
    method: str | None = None
    price_max: int | None = None
    include_simulated: bool = True
    space: Space | None = Space.KV_CACHE


def browse(filters: Filters, *, at: datetime, viewer: Viewer = NOBODY) -> QuerySet[Listing]:
    """Return what is on offer to a viewer: measured first, then by epsilon. An expired certificate has no tier."""
    wanted = {
        "source_model": filters.source_model,
        "target_model": filters.target_model,
        "basis": filters.basis,
        "method": filters.method,
        "space": filters.space,
        "price_amount__lte": filters.price_max,
        "tier": filters.tier,
        "certified_until__gt": None if filters.tier is None else at,
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    offers = listed(Listing.objects.filter(ON_OFFER, **wanted), viewer).order_by(*ORDER)
    if filters.family is not None:
        # Names, not a subquery: with them PostgreSQL can tell how many listings there are of the family.
        members = list(RegisteredModel.objects.filter(family__iexact=filters.family).values_list("name", flat=True))
        offers = offers.filter(Q(source_model__in=members) | Q(target_model__in=members))
    return offers if filters.include_simulated else offers.exclude(basis=Basis.SIMULATED)


def get_listing(listing_id: str, viewer: Viewer = NOBODY) -> Listing:
    """Return a listing, on offer or not. Raises NotFound, also for a private one, or ListingIsQuarantined."""
    # PostgreSQL refuses to compare with NUL, so a key that holds one is not looked up.
    rows = Listing.objects.none() if NUL in listing_id else Listing.objects.filter(id=listing_id)
    row = listed(rows, viewer).first()
    if row is None:
        raise NotFound(f"there is no listing {listing_id!r}", resolution="Browse GET /api/w-matrices.")
    if row.quarantined_at is not None and not works_on(row.id, viewer):
        raise _quarantined(row)
    return row


def versions_of(listing_id: str, viewer: Viewer = NOBODY) -> list[ListingVersion]:
    """Return every version, yanked ones too, newest first; those that passed no scan only to who works on them."""
    rows = all_versions(listing_id)
    if all(row.scanned for row in rows) or works_on(listing_id, viewer):
        return rows
    return [row for row in rows if row.scanned]


def all_versions(listing_id: str) -> list[ListingVersion]:
    """Return every version of a listing, newest first, for who works on it."""
    return list(ListingVersion.objects.filter(listing_id=listing_id).order_by("-major", "-minor", "-patch"))


def managed_listing(listing_id: str, agent: str) -> Listing:
    """Return a listing that the agent owns or maintains. Raises NotFound, NotAllowed or ListingIsQuarantined."""
    row = get_listing(listing_id, Viewer(frozenset({agent})))
    mine = ListingMember.objects.filter(listing_id=row.id, agent=agent)
    if not mine.filter(Q(owner=True) | Q(role=Role.MAINTAINER)).exists():
        raise NotAllowed("only its owner or a maintainer may see this of the listing")
    return row


def get_version(listing_id: str, *, version: str, viewer: Viewer = NOBODY) -> ListingVersion:
    """Return one version by its number or an alias, yanked or not.

    Raises NotFound, ListingIsQuarantined, or VersionNotOffered where it passed no scan.
    """
    return _found(listing_id, version, viewer)[1]


def offered_version(listing_id: str, version: str, viewer: Viewer = NOBODY) -> ListingVersion:
    """Return a version that is on offer.

    Raises NotFound, ListingIsQuarantined, ListingIsDelisted, VersionNotOffered or VersionYankedError.
    """
    listing, row = _found(listing_id, version, viewer)
    _require_offered(listing, row)
    return row


def obtainable_version(listing_id: str, version: str, viewer: Viewer = NOBODY) -> ListingVersion:
    """Return a version whose file the viewer may have: one on offer to it and free or paid, or one that it keeps.

    Raises what `offered_version` does, AccessRequired or PaymentRequired.
    """
    listing, row = _found(listing_id, version, viewer)
    try:
        _require_offered_to(listing, row, viewer)
        require_paid(listing, row, viewer)
    except (VersionYankedError, ListingIsDelisted, AccessRequired, PaymentRequired):
        if not keeps(row, viewer):
            raise
    return row


def version_for_sale(listing_id: str, version: str | None, viewer: Viewer) -> tuple[Listing, ListingVersion]:
    """Return a listing with a version on offer to the viewer, whatever it costs; None is the newest.

    Raises what `offered_version` does, or AccessRequired.
    """
    wanted = version or get_listing(listing_id, viewer).version
    if wanted is None:
        raise NotFound(f"listing {listing_id!r} has no version on offer", resolution="Browse GET /api/w-matrices.")
    listing, row = _found(listing_id, wanted, viewer)
    _require_offered_to(listing, row, viewer)
    return listing, row


def bought_version(listing_id: str, version: str) -> ListingVersion:
    """Return a version as who has bought it keeps it: yanked or not. Raises NotFound or ListingIsQuarantined."""
    listing = Listing.objects.filter(id=listing_id).first()
    row = ListingVersion.objects.filter(id=f"{listing_id}/{version}").first()
    if listing is None or row is None:
        raise NotFound(f"listing {listing_id!r} has no version {version!r}")
    if listing.quarantined_at is not None:
        raise _quarantined(listing)
    return row


def _found(listing_id: str, version: str, viewer: Viewer) -> tuple[Listing, ListingVersion]:
    listing = get_listing(listing_id, viewer)
    key = f"{listing.id}/{listing.aliases.get(version, version)}"
    row = None if NUL in key else ListingVersion.objects.filter(id=key).first()
    if row is None:
        raise NotFound(
            f"listing {listing_id!r} has no version {version!r}",
            resolution=f"GET /api/w-matrices/{listing_id} names its versions.",
        )
    if not (row.scanned or works_on(listing.id, viewer)):
        raise _not_offered(row)
    return listing, row


def _require_offered_to(listing: Listing, row: ListingVersion, viewer: Viewer) -> None:
    _require_offered(listing, row)
    if row.access != Access.PUBLIC and not belongs(listing.id, viewer):
        raise AccessRequired(f"the listing {listing.id} is {row.access}, and you were not granted its files")


def _require_offered(listing: Listing, row: ListingVersion) -> None:
    if listing.quarantined_at is not None:
        raise _quarantined(listing)
    if not row.scanned:
        raise _not_offered(row)
    if row.yanked:
        raise VersionYankedError(
            f"version {row.version} was withdrawn on {row.yanked_at:%Y-%m-%d}: {row.yanked_reason}",
            resolution=f"GET /api/w-matrices/{row.listing_id} names the versions still on offer.",
        )
    if listing.delisted_at is not None:
        raise ListingIsDelisted(
            f"the listing was delisted on {listing.delisted_at:%Y-%m-%d}: {listing.withheld_reason}"
        )


def _quarantined(listing: Listing) -> ListingIsQuarantined:
    return ListingIsQuarantined(
        f"the listing is in quarantine since {listing.quarantined_at:%Y-%m-%d}: {listing.withheld_reason}"
    )


def _not_offered(row: ListingVersion) -> VersionNotOffered:
    if row.scan == Scan.SCANNING:
        return VersionNotOffered(f"version {row.version} is being scanned", resolution="Try again in a while.")
    return VersionNotOffered(f"version {row.version} did not pass its scan")


def versions_with_file(digest: str) -> list[ListingVersion]:
    """Return the versions that everybody sees whose file has this digest, those on offer and the newest first."""
    seen = listed(Listing.objects.filter(quarantined_at=None), NOBODY).values("id")
    rows = ListingVersion.objects.exclude(scan__in=UNSCANNED).filter(file_digest=digest, listing_id__in=seen)
    return sorted(rows.order_by("-published_at", "id"), key=lambda row: not row.offered)


def measured_listings(*, at: datetime) -> list[Listing]:
    """Return what is on offer with a retention measured on the target model: one listing a pair, certified before not.

    Refused ones count too: an estimate that left them out would flatter.
    """
    rows = browse(Filters(basis=Basis.FUNCTIONAL), at=at).filter(retention__isnull=False)
    first: dict[tuple[str, str], Listing] = {}
    for row in sorted(rows, key=lambda row: row.tier_at(at) is None):
        first.setdefault((row.source_model, row.target_model), row)
    return list(first.values())


def measured_pairs(listings: Iterable[Listing]) -> list[MeasuredPair]:
    """Return measured listings as the pairs that an estimate can rest on."""
    models = RegisteredModel.objects.only("name", "family", "kv_width").in_bulk()
    return [
        MeasuredPair(models[row.source_model], models[row.target_model], _retention(row), row.id)
        for row in listings
        if row.source_model in models and row.target_model in models
    ]


def models_on_offer() -> tuple[list[str], list[str]]:
    """Return the names of all source and of all target models on offer, in order."""
    offers = listed(Listing.objects.filter(version__isnull=False), NOBODY)
    pairs = offers.order_by().values_list("source_model", "target_model")
    rows = list(pairs.distinct())
    return sorted({source for source, _ in rows}), sorted({target for _, target in rows})


def families_on_offer() -> list[str]:
    """Return the families of all models on offer, in order."""
    names = {name for side in models_on_offer() for name in side}
    rows = RegisteredModel.objects.filter(name__in=names).values_list("family", flat=True)
    return sorted(set(rows))


def report_of(row: ListingVersion) -> EvaluationReport:
    """Return the version's report. Raises as `report_document` does."""
    try:
        # Not strict: decimals are text in canonical JSON.
        return msgspec.convert(report_document(row), EvaluationReport, strict=False)
    except msgspec.ValidationError as error:
        raise StorageUnavailable(f"the report {row.report_digest} cannot be read: {error}") from error


def report_document(row: ListingVersion) -> Any:
    """Return the version's report as JSON. Raises NotFound, or StorageUnavailable where the stored file is none."""
    if row.report_digest is None:
        raise NotFound(f"version {row.version} came without a report and has not been measured yet")
    content = blobs.get_bytes(row.report_digest)
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise StorageUnavailable(f"the report {row.report_digest} cannot be read: {error}") from error


def _retention(row: Listing) -> Interval:
    assert row.retention is not None
    assert row.retention_low is not None
    assert row.retention_high is not None
    return Interval(row.retention, row.retention_low, row.retention_high)
