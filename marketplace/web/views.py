"""The pages: the catalogue and one listing. Both are plain GETs and work without JavaScript."""

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from rest_framework.exceptions import ValidationError

from latentmas.inputs import read
from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import LatentMASError, NotFound
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Method, Space
from marketplace.listings import inputs, queries
from marketplace.listings.statistics import statistics
from marketplace.listings.timeline import timeline
from marketplace.web.listing_page import figures_of

ROWS = 25


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the catalogue with its filters and key figures."""
    now = timezone.now()
    given = {name: value for name, value in request.GET.dict().items() if name != "page"}
    offers, mistake = queries.browse(queries.Filters(), at=now).none(), ""
    try:
        offers = queries.browse(inputs.filters_from(read(given, inputs.FiltersInput)), at=now)
    except ValidationError as error:
        mistake = "; ".join(f"{name}: {' '.join(map(str, why))}" for name, why in _details(error))
    except LatentMASError as error:
        mistake = error.message
    page = Paginator(offers, ROWS).get_page(request.GET.get("page"))
    sources, targets = queries.models_on_offer()
    totals = statistics(at=now)
    context = {
        "now": now,
        "page": page,
        "mistake": mistake,
        "given": given,
        "filtered": any(given.values()),
        "query": _without_page(request),
        "totals": totals,
        "certified": sum(totals.by_tier.values()),
        "models": len({*sources, *targets}),
        "sources": sources,
        "targets": targets,
        "families": queries.families_on_offer(),
        "tiers": list(Tier),
        "bases": list(Basis),
        "methods": list(Method),
        "spaces": [space for space in Space if space is not Space.KV_CACHE],
    }
    return render(request, "home.html", context)


@require_safe
def listing(request: HttpRequest, listing_id: str) -> HttpResponse:
    """Show one listing by its newest version, or by the one that `?version=` names."""
    try:
        row = queries.get_listing(listing_id)
        wanted = request.GET.get("version") or row.version
        versions = queries.versions_of(listing_id)
        shown = next((each for each in versions if each.version == wanted), None)
        if request.GET.get("version") and shown is None:
            raise NotFound(f"the listing has no version {wanted!r}")
    except NotFound as error:
        raise Http404(error.message) from error
    now = timezone.now()
    context = {"now": now, "row": row, "versions": versions, "shown": shown, "timeline": timeline(listing_id)}
    return render(request, "listing.html", context | (figures_of(shown, at=now) if shown else {}))


def _details(error: ValidationError) -> list[tuple[str, list[object]]]:
    detail = error.detail
    return [(name, list(why)) for name, why in detail.items()] if isinstance(detail, dict) else [("", list(detail))]


def _without_page(request: HttpRequest) -> str:
    query = request.GET.copy()
    query.pop("page", None)
    return query.urlencode()
