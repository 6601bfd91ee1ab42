"""The pages: the catalogue and one listing. Both are plain GETs and work without JavaScript, but for the proof."""

from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from rest_framework.exceptions import ValidationError

from latentmas.jobs.queries import seconds_left, title_of, under_way
from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import LatentMASError, NotFound
from latentmas.protocol.quality import (
    MEASURED,
    REREAD_TOKENS,
    Basis,
    LayerFidelity,
    Quality,
    Retention,
    SuiteFigures,
)
from latentmas.protocol.targets import target_verdicts
from latentmas.protocol.w_matrix import Method, Space
from latentmas.rest.parameters import read
from marketplace.agents.queries import handles_of
from marketplace.listings import queries
from marketplace.listings.certificates.standing import (
    quality_of,
    reasons_of,
    scope_of_row,
    scope_sentence,
    status_of,
    validators_of,
)
from marketplace.listings.errors import ListingIsQuarantined
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.models import Listing, ListingVersion
from marketplace.listings.rest import inputs
from marketplace.listings.statistics import statistics
from marketplace.listings.timeline import timeline
from marketplace.listings.visibility import belongs, viewer_of
from marketplace.sales.goods import Kind
from marketplace.web.buying_pages import buying
from marketplace.web.charts import Arm, Series, layer_chart, retention_chart
from marketplace.web.heat_table import COLUMNS, heat_table, table_of
from marketplace.web.mistakes import mistake_in

ROWS = 25


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the catalogue with its filters and key figures."""
    now = timezone.now()
    given = {name: value for name, value in request.GET.dict().items() if name != "page"}
    offers, mistake = queries.browse(queries.Filters(), at=now).none(), ""
    try:
        offers = queries.browse(inputs.filters_from(read(given, inputs.FiltersInput)), at=now)
    except (ValidationError, LatentMASError) as error:
        mistake = mistake_in(error)
    page = Paginator(offers, ROWS).get_page(request.GET.get("page"))
    sources, targets = queries.models_on_offer()
    totals = statistics(at=now)
    context = {
        "now": now,
        "page": page,
        "mistake": mistake,
        "given": given,
        "filtered": any(given.values()),
        "query": without_page(request),
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
        "under_way": [
            {"job": job, "title": title_of(job), "seconds_left": seconds_left(job, at=now)} for job in under_way()
        ],
    }
    return render(request, "home.html", context)


@require_safe
def listing(request: HttpRequest, listing_id: str) -> HttpResponse:
    """Show one listing by its newest version, or by the one that `?version=` names."""
    try:
        viewer = viewer_of(request)
        row = queries.get_listing(listing_id, viewer)
        wanted = request.GET.get("version") or row.version
        versions = queries.versions_of(listing_id, viewer)
        shown = next((each for each in versions if each.version == wanted), None)
        if request.GET.get("version") and shown is None:
            raise NotFound(f"the listing has no version {wanted!r}")
    except (NotFound, ListingIsQuarantined) as error:
        raise Http404(error.message) from error
    now = timezone.now()
    context = {"now": now, "row": row, "versions": versions, "shown": shown, "timeline": timeline(listing_id)}
    context["may_ask"] = row.access == Access.GATED and not belongs(row.id, viewer)
    # The proof of a private listing's certificate shows nobody its event.
    context["provable"] = shown is not None and shown.offered and shown.access != Access.PRIVATE and shown.tier_at(now)
    context["seller_handle"] = handles_of([row.seller]).get(row.seller)
    if shown is not None:
        context |= _figures_of(shown, at=now) | _price_of(request, row, shown)
    return render(request, "listing.html", context)


def _price_of(request: HttpRequest, row: Listing, shown: ListingVersion) -> dict[str, Any]:
    """Return whether the visitor need not pay for a version, and else what the page needs to sell it."""
    if row.price_amount == 0:
        return {"downloadable": True}
    try:
        queries.obtainable_version(row.id, shown.version, viewer_of(request))
    except LatentMASError:
        return {"downloadable": False} | buying(request, Kind.W_MATRIX, row.id, version=shown.version)
    return {"downloadable": True}


def _figures_of(row: ListingVersion, *, at: datetime) -> dict[str, Any]:
    """Return a version's figures, charts and tables for the page; where the report cannot be read, why."""
    quality = quality_of(row)
    figures: dict[str, Any] = {
        "quality": quality,
        "retention": quality.retention,
        "retrieval": quality.retrieval,
        "simulated": row.basis == "simulated",
        "certification_status": status_of(row, at=at),
        "declared_kept": None if row.declared is None else 1 - row.declared["epsilon"],
        "validators": validators_of(row),
        "reasons": reasons_of(row),
        "tier": row.tier_at(at),
        "targets": target_verdicts(quality) if quality.basis in MEASURED else (),
    }
    if scope := scope_of_row(row):
        figures |= {"scope": scope, "scope_sentence": scope_sentence(scope)}
    if quality.suite is not None:
        figures |= _suite_of(quality.suite)
    if quality.retention is not None:
        figures["arms"] = arms = _arms_of(quality, quality.retention)
        figures["retention_chart"] = retention_chart(arms)
    try:
        layers = queries.report_of(row).layers
    except LatentMASError as error:
        return figures | {"report_error": error.message}
    if layers:
        figures |= {"layers": layers, "layer_chart": layer_chart(_series_of(layers))}
    return figures


def _suite_of(suite: SuiteFigures) -> dict[str, Any]:
    """Return the picture of a suite's cells, and the same as a table."""
    return {
        "suite": suite,
        "heat_table": heat_table(suite),
        "columns": [label for label, _ in COLUMNS],
        "cells": table_of(suite),
    }


def _arms_of(quality: Quality, retention: Retention) -> list[Arm]:
    others = {f"... last {REREAD_TOKENS} tokens read": quality.reread, "... tokens unknown": quality.uncorrected}
    return [
        Arm("This W-Matrix", retention.aligned, "own"),
        *(Arm(label, interval, "own") for label, interval in others.items() if interval is not None),
        Arm("Last half as text", retention.text_half, "text"),
        Arm("Last quarter as text", retention.text_quarter, "text"),
        Arm("Last eighth as text", retention.text_eighth, "text"),
        Arm("Wrong document", retention.wrong_document, "control"),
        Arm("Random W", retention.random_w, "control"),
    ]


def _series_of(layers: tuple[LayerFidelity, ...]) -> list[Series]:
    return [
        Series("attention output", [layer.attention_cosine for layer in layers], "attention"),
        Series("key cosine", [layer.key_cosine for layer in layers], "key"),
        Series("value cosine", [layer.value_cosine for layer in layers], "value"),
    ]


def without_page(request: HttpRequest) -> str:
    """Return the query of an address without the number of its page."""
    query = request.GET.copy()
    query.pop("page", None)
    return query.urlencode()
