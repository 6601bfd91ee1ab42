"""Reads of disputes and acceptances: each is its parties' alone."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from latentmas.protocol.errors import NotFound
from marketplace.claims.acceptance_aggregate import AcceptanceStatus
from marketplace.claims.models import Acceptance, Dispute, DisputeText
from marketplace.texts.erasable import ERASED

NUL = "\x00"
RESULTS = [AcceptanceStatus.MEASURED.value, AcceptanceStatus.NOT_MEASURED.value]  # what a seller sees


def disputes_of(agent: str, *, as_seller: bool = False) -> QuerySet[Dispute]:
    """Return the disputes about what an agent has bought, or sold."""
    return Dispute.objects.filter(seller=agent) if as_seller else Dispute.objects.filter(buyer=agent)


def dispute_of(agent: str, identifier: str) -> Dispute:
    """Return a dispute that the agent is a party to. Raises NotFound."""
    mine = Dispute.objects.filter(Q(buyer=agent) | Q(seller=agent))
    row = None if NUL in identifier else mine.filter(id=identifier).first()
    if row is None:
        raise NotFound(f"you have no dispute {identifier[:60]!r}", resolution="GET /api/disputes names yours.")
    return row


def written_in(rows: Iterable[Dispute]) -> dict[str, str]:
    """Return what was written in disputes, by its commitments; what was erased says so. One query."""
    wanted = {each for row in rows for each in (row.text, row.answer, row.reason) if each}
    kept = dict(DisputeText.objects.filter(commitment__in=wanted).values_list("commitment", "text"))
    return {each: kept.get(each, ERASED) for each in wanted}


def acceptances_of(agent: str, *, as_seller: bool = False) -> QuerySet[Acceptance]:
    """Return the acceptances of what an agent buys; of what it has sold, those with a result."""
    if as_seller:
        return Acceptance.objects.filter(seller=agent, status__in=RESULTS)
    return Acceptance.objects.filter(buyer=agent)


def acceptance_of(agent: str, identifier: str) -> Acceptance:
    """Return an acceptance that the agent may see. Raises NotFound."""
    mine = Acceptance.objects.filter(Q(buyer=agent) | Q(seller=agent, status__in=RESULTS))
    row = None if NUL in identifier else mine.filter(id=identifier).first()
    if row is None:
        raise NotFound(f"you have no acceptance {identifier[:60]!r}", resolution="GET /api/acceptances names yours.")
    return row
