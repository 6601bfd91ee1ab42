"""Totals over what is on offer, each listing by its newest version; counted by the database."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Avg, Count, QuerySet, Sum

from latentmas.protocol.certification import Grade, Tier
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Space
from latentmas.registry.models import RegisteredModel
from marketplace.listings.models import Listing, ListingVersion
from marketplace.listings.queries import Filters, browse
from marketplace.listings.visibility import NOBODY, obtainable


@dataclass(frozen=True, slots=True)
class MeanEpsilon:
    mean: float
    listings: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of listings, except `versions` and `bytes` (of the newest versions' files)."""

    listings: int
    versions: int
    bytes: int
    by_tier: dict[str, int]
    by_grade: dict[str, int]
    by_basis: dict[str, int]
    by_method: dict[str, int]
    by_space: dict[str, int]
    by_family: dict[str, int]
    epsilon: dict[str, MeanEpsilon]


def statistics(*, at: datetime) -> Statistics:
    """Count what is on offer. Epsilon is averaged over KV-caches within a basis: other figures are not comparable."""
    offers = browse(Filters(space=None), at=at).order_by()
    certified = offers.filter(certified_until__gt=at)
    groups = list(offers.values("space", "basis").annotate(listings=Count("id"), mean=Avg("epsilon")))
    by_space = Counter({space.value: 0 for space in Space})
    for group in groups:
        by_space[group["space"]] += group["listings"]
    return Statistics(
        listings=sum(by_space.values()),
        versions=obtainable(ListingVersion.objects.all(), NOBODY).count(),
        bytes=offers.aggregate(total=Sum("file_size"))["total"] or 0,
        by_tier=_count(certified, "tier", Tier),
        by_grade=_count(certified, "grade", Grade),
        by_basis=_count(offers, "basis", Basis),
        by_method=_count(offers, "method"),
        by_space=dict(by_space),
        by_family=_by_family(offers),
        epsilon={
            str(group["basis"]): MeanEpsilon(group["mean"], group["listings"])
            for group in groups
            if group["space"] == Space.KV_CACHE
        },
    )


def _count(rows: QuerySet[Listing], column: str, names: Iterable[str] = ()) -> dict[str, int]:
    """Return how many rows have each value of a column, zero for those `names` that none has."""
    found = dict(rows.values_list(column).annotate(Count("id")).order_by(column))
    return {str(name): found.get(name, 0) for name in names} or found


def _by_family(offers: QuerySet[Listing]) -> dict[str, int]:
    """Count a listing once for each family that its two models belong to."""
    families = dict(RegisteredModel.objects.values_list("name", "family"))
    counts: Counter[str] = Counter()
    for source, target, listings in offers.values_list("source_model", "target_model").annotate(Count("id")):
        for family in {families.get(source, "unknown"), families.get(target, "unknown")}:
            counts[family] += listings
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
