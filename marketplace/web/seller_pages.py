"""A seller as its buyers see it."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from latentmas.protocol.errors import NotFound
from marketplace.agents.queries import handles_of
from marketplace.listings.visibility import viewer_of
from marketplace.reputation.configuration import GRADES
from marketplace.reputation.credit import HIGHEST, LOWEST
from marketplace.reputation.sellers import seller_page
from marketplace.web.items import name_of


@require_safe
def seller(request: HttpRequest, agent_id: str) -> HttpResponse:
    """Show who an agent is, how it stands, what it sells and what buyers say."""
    now = timezone.now()
    try:
        page = seller_page(agent_id, at=now, viewer=viewer_of(request))
    except NotFound as error:
        raise Http404(error.message) from error
    context = {
        "now": now,
        "page": page,
        "record": page.standing.record,
        "credit": page.standing.credit,
        "artefacts": [(row, name_of(row.kind)) for row in page.artefacts],
        "handles": handles_of(each.reviewer for each in page.reviews),
        "bounds": (LOWEST, HIGHEST),
        "grades": GRADES,
    }
    return render(request, "seller.html", context)
