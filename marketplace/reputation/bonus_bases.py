"""What bonuses rest on: the platform's shares of the sales that each kind is about, less what refunds took back."""

from collections import Counter

from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from marketplace.agents.models import Agent
from marketplace.reputation.incentives import BonusKind, Incentives
from marketplace.reputation.models import AgentRecord, CountedSale
from marketplace.reputation.periods import Period

Bases = dict[tuple[str, str], int]  # minor units by agent and currency
COUNTS = Q(price__gt=0) & ~Q(refunded=F("price"))


def bases_due(kind: BonusKind, period: Period, incentives: Incentives) -> Bases:
    """Return the bases of those agents that have earned a bonus of the kind; suspended ones have not."""
    bases = bases_of(kind, period, first_purchases=incentives.first_purchases)
    agents = {agent for agent, _ in bases}
    match kind:
        case BonusKind.QUALITY:
            good = AgentRecord.objects.filter(measured__gt=0, quality__gte=F("measured") * incentives.quality_bar)
            agents &= set(good.values_list("agent", flat=True)) & _with(period, "seller", incentives.quality_uses)
        case BonusKind.VOLUME:
            agents &= _with(period, "buyer", incentives.volume_purchases)
    active = set(Agent.objects.filter(id__in=agents, suspended=None).values_list("id", flat=True))
    return {(agent, currency): basis for (agent, currency), basis in bases.items() if agent in active}


def bases_of(kind: BonusKind, period: Period, *, first_purchases: int) -> Bases:
    """Return the platform's shares of the period's sales by who would earn the kind, whether he has or not."""
    party = "seller" if kind is BonusKind.QUALITY else "buyer"
    rows = _of(period)
    if kind is BonusKind.FIRST_PURCHASES:
        rows = rows.filter(id__in=_first(period, first_purchases))
    bases = Counter[tuple[str, str]]()
    for agent, currency, share in rows.values_list(party, "currency", "platform").iterator():
        bases[agent, currency] += share
    return dict(bases)


def _of(period: Period) -> QuerySet[CountedSale]:
    return CountedSale.objects.filter(captured_at__gte=period.begins, captured_at__lt=period.ends, price__gt=0)


def _first(period: Period, count: int) -> list[str]:
    """Return which of the period's sales are among their buyers' first ones; refunded ones stay among those."""
    ranked = CountedSale.objects.filter(
        price__gt=0, captured_at__lt=period.ends, buyer__in=_of(period).values("buyer")
    ).annotate(rank=Window(RowNumber(), partition_by="buyer", order_by=["captured_at", "id"]))
    return list(ranked.filter(rank__lte=count, captured_at__gte=period.begins).values_list("id", flat=True))


def _with(period: Period, party: str, least: int) -> set[str]:
    """Return who has sold or bought so often in the period, not counting what was wholly refunded."""
    counted = _of(period).filter(COUNTS).order_by().values(party).annotate(times=Count("id")).filter(times__gte=least)
    return set(counted.values_list(party, flat=True))
