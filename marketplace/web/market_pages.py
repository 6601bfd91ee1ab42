"""The memory market: what is on sale of a kind, and one artefact's card."""

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from rest_framework.exceptions import ValidationError

from latentmas.protocol.errors import InvalidInput, LatentMASError
from latentmas.rest.parameters import read
from marketplace.agents.queries import handles_of
from marketplace.artefacts import inputs, queries
from marketplace.artefacts.lineage import Relative, ancestors_of, descendants_of, royalties_of
from marketplace.artefacts.models import Artefact, ArtefactVersion
from marketplace.artefacts.outputs import PATHS, notices_of
from marketplace.artefacts.retokenising import read_for
from marketplace.listings.visibility import viewer_of
from marketplace.pricing.commands import in_force
from marketplace.reputation.queries import counted_among, reviews, standing_of, standings_of
from marketplace.reputation.sellers import SHOWN
from marketplace.sales.goods import Delivery, Kind, goods_of
from marketplace.sales.quotes import breakdown_of
from marketplace.web.buying_pages import buying
from marketplace.web.items import NAMES, PLURALS, seen_artefact
from marketplace.web.mistakes import mistake_in
from marketplace.web.views import ROWS, without_page


@require_safe
def market(request: HttpRequest) -> HttpResponse:
    """Show what is on sale of one kind, the cheapest first, with its filters: prices of two kinds do not compare."""
    given = {name: value for name, value in request.GET.dict().items() if name not in ("page", "kind")}
    kind, rows, mistake = Kind.MEMORY, Artefact.objects.none(), ""
    try:
        kind = _kind_in(request)
        rows = queries.on_sale(kind, inputs.filters_in(read(given, inputs.ListInput)))
    except (ValidationError, LatentMASError) as error:
        mistake = mistake_in(error)
    page = Paginator(rows, ROWS).get_page(request.GET.get("page"))
    sellers = {row.seller for row in page}
    context = {
        "page": page,
        "mistake": mistake,
        "given": given,
        "filtered": any(given.values()),
        "query": without_page(request),
        "kind": kind,
        "kinds": PLURALS.items(),
        "title": PLURALS[kind],
        "models": queries.models_on_sale(kind),
        "handles": handles_of(sellers),
        "standings": standings_of(sellers),
    }
    return render(request, "market.html", context)


@require_safe
def artefact(request: HttpRequest, artefact_id: str, kind: Kind) -> HttpResponse:
    """Show one artefact by its newest version, or by the one that `?version=` names; never anything that it holds."""
    row = seen_artefact(request, kind, artefact_id)
    viewer = viewer_of(request)
    versions = queries.versions_of(row, viewer)
    wanted = request.GET.get("version") or row.version or (versions[0].version if versions else None)
    shown = next((each for each in versions if each.version == wanted), None)
    if shown is None:
        raise Http404("there is no such version")
    said = list(reviews(item=row.id)[:SHOWN])
    context: dict[str, Any] = {
        "row": row,
        "mine": row.seller in viewer.agents,
        "kind_name": NAMES[kind],
        "versions": versions,
        "shown": shown,
        "ratio": shown.contents["raw_bytes"] / shown.contents["coded_bytes"],
        "notices": notices_of(row),
        "read_for": read_for([shown], kind)[shown.id],
        "standing": standing_of(row.seller),
        "reviews": said,
        "counted": counted_among(said),
        "canary_url_name": f"{PATHS[kind]}-canary",
        **_price_of(row, shown),
        **_lineage_of(row),
        **buying(request, kind, row.id, version=shown.version),
    }
    context["handles"] = handles_of([row.seller, *(each.reviewer for each in said), *context["paid_to"]])
    return render(request, "artefact.html", context)


def _kind_in(request: HttpRequest) -> Kind:
    """Return the kind that an address names, memories where it names none. Raises InvalidInput."""
    named = request.GET.get("kind") or Kind.MEMORY.value
    for kind in PLURALS:
        if kind.value == named:
            return kind
    raise InvalidInput(f"no kind {named[:30]!r} is sold here; there are {', '.join(PLURALS)}", field="kind")


def _price_of(row: Artefact, shown: ArtefactVersion) -> dict[str, Any]:
    """Return what the version costs as it was published, as a quote would say it; nothing where it is not on offer."""
    try:
        offer = goods_of(Kind(row.kind)).offer(row.id, shown.version, Delivery(), buyer=None)
    except LatentMASError:
        return {"on_offer": False}
    breakdown = breakdown_of(offer, in_force().configuration)
    price = offer.price.amount if breakdown is None else breakdown.price
    return {"on_offer": True, "price": price, "breakdown": breakdown}


def _lineage_of(row: Artefact) -> dict[str, Any]:
    """Return relatives with the titles of those on offer, and what their sellers get of a sale."""
    ancestors, descendants, royalties = ancestors_of([row.id]), descendants_of([row.id]), royalties_of(row.id)
    known = Artefact.objects.filter(version__isnull=False).in_bulk(
        {each.artefact_id for each in (*ancestors, *descendants)}
    )
    return {
        "ancestors": _titled(ancestors, known),
        "descendants": _titled(descendants, known),
        "royalties": royalties,
        "paid_to": [each.agent for each in royalties],
    }


def _titled(relatives: Sequence[Relative], known: dict[str, Artefact]) -> list[tuple[Relative, Artefact | None]]:
    return [(each, known.get(each.artefact_id)) for each in relatives]
