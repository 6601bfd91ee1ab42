"""Reads of sales: what an agent is entitled to, and the sales that a party may see."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from latentmas.protocol.errors import NotFound
from marketplace.sales.aggregate import Status
from marketplace.sales.goods import Kind
from marketplace.sales.models import Entitlement, Sale

NUL = "\x00"


def covers(kind: Kind, item: str, version: str, agents: Collection[str]) -> bool:
    """Return whether one of the agents has bought this major version of a capability."""
    return bool(agents) and entitlements(kind, [item], agents).filter(major=version.partition(".")[0]).exists()


def entitlements(kind: Kind, items: Collection[str], agents: Collection[str]) -> QuerySet[Entitlement]:
    """Return what captured sales that were not refunded entitle the agents to, of these items."""
    return Entitlement.objects.filter(item__in=items, agent__in=agents, kind=kind.value, ended_at=None)


def under_way(kind: Kind, item: str, version: str, agent: str) -> bool:
    """Return whether an agent has opened a purchase of this major version that has not come to its end."""
    open_ones = Sale.objects.filter(buyer=agent, kind=kind.value, item=item, status=Status.OPEN)
    major = version.partition(".")[0]
    return any(each.partition(".")[0] == major for each in open_ones.values_list("version", flat=True))


def sale_of_party(sale: str, agents: Collection[str], *, curator: bool = False) -> Sale:
    """Return a sale that one of the agents bought or sold, any sale for a curator. Raises NotFound."""
    rows = Sale.objects.none() if NUL in sale else Sale.objects.filter(id=sale)
    row = (rows if curator else rows.filter(Q(buyer__in=agents) | Q(seller__in=agents))).first()
    if row is None:
        raise NotFound(f"you have no purchase {sale[:60]!r}", resolution="GET /api/purchases names yours.")
    return row


def sales_among(sales: Collection[str], agent: str) -> set[str]:
    """Return which of the sales an agent has bought or sold."""
    return set(Sale.objects.filter(Q(buyer=agent) | Q(seller=agent), id__in=sales).values_list("id", flat=True))


def sales_of(agent: str, *, as_seller: bool = False, before: datetime | None = None, limit: int) -> Sequence[Sale]:
    """Return what an agent has bought, or sold, before a moment; the newest first."""
    rows = Sale.objects.filter(seller=agent) if as_seller else Sale.objects.filter(buyer=agent)
    if before is not None:
        rows = rows.filter(opened_at__lt=before)
    return list(rows.order_by("-opened_at", "id")[:limit])
