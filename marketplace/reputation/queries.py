"""Reads of reputation: an agent's score as it is now, and reviews."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from latentmas.protocol.errors import NotFound
from marketplace.reputation.configuration import CreditConfiguration
from marketplace.reputation.configurations import CREDIT
from marketplace.reputation.credit import Credit, Record, credit_of
from marketplace.reputation.errors import ReviewIsRemoved
from marketplace.reputation.models import AgentRecord, AgentRevenue, CountedSale, Review

NUL = "\x00"
NEWEST = ("-written_at", "id")


@dataclass(frozen=True, slots=True)
class Standing:
    """An agent's record, and the score that the configuration in force gives it; None without any record."""

    agent: str
    record: Record
    credit: Credit | None
    version: int  # of the credit configuration
    configuration: CreditConfiguration


def standing_of(agent: str) -> Standing:
    """Return how one agent stands."""
    return standings_of([agent])[agent]


def standings_of(agents: Iterable[str]) -> dict[str, Standing]:
    """Return how agents stand, by their ids."""
    wanted = list(agents)
    now = CREDIT.in_force()
    rows = AgentRecord.objects.in_bulk(wanted)
    revenue: dict[str, dict[str, int]] = {agent: {} for agent in wanted}
    for each in AgentRevenue.objects.filter(agent__in=wanted).order_by("currency"):
        revenue[each.agent][each.currency] = each.amount
    records = {agent: _record(rows.get(agent), revenue[agent]) for agent in wanted}
    return {
        agent: Standing(agent, record, credit_of(record, now.configuration), now.version, now.configuration)
        for agent, record in records.items()
    }


def reviews(*, seller: str | None = None, item: str | None = None, kind: str | None = None) -> QuerySet[Review]:
    """Return the reviews that stand and fit every given filter, the newest first."""
    given = {"seller": seller, "item": item, "kind": kind}
    wanted = {name: value for name, value in given.items() if value is not None}
    return Review.objects.filter(removed_at=None, **wanted).order_by(*NEWEST)


def get_review(review: str) -> Review:
    """Return a review that stands. Raises NotFound or ReviewIsRemoved."""
    row = None if NUL in review else Review.objects.filter(id=review).first()
    if row is None:
        raise NotFound(f"there is no review {review[:60]!r}", resolution="GET /api/reviews lists them.")
    if row.removed_at is not None:
        raise ReviewIsRemoved(f"a curator has removed this review: {row.removed_reason}")
    return row


def counted_among(rows: Sequence[Review]) -> set[str]:
    """Return which of the reviews are part of their sellers' scores: of a paid purchase, not wholly refunded."""
    sales = CountedSale.objects.filter(id__in=[row.id for row in rows])
    return {sale.id for sale in sales if sale.counts}


def _record(row: AgentRecord | None, revenue: dict[str, int]) -> Record:
    if row is None:
        return Record(revenue=revenue)
    return Record(
        created=row.created,
        measured=row.measured,
        quality=row.quality,
        sold=row.sold,
        reviews=row.reviews,
        ratings=row.ratings,
        revenue=revenue,
    )
