"""What a login's agents have bought and sold: lists, one purchase with its receipt, file and review."""

import functools as ft
import json
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe
from rest_framework.exceptions import ValidationError

from latentmas.protocol.errors import LatentMASError, NotFound
from latentmas.rest.downloads import send_file
from latentmas.rest.parameters import read
from marketplace.agents.models import Agent
from marketplace.agents.queries import handles_of
from marketplace.listings.visibility import viewer_of
from marketplace.reputation.models import Review
from marketplace.sales import queries
from marketplace.sales.delivering import file_of
from marketplace.sales.models import Sale
from marketplace.sales.outputs import report_of, sale_document
from marketplace.sales.purchases_api import PurchasesInput
from marketplace.sales.receipts import receipt_document
from marketplace.web.acting import for_agent, metadata_of, own_agents, private
from marketplace.web.claims import acceptance_of, dispute_of, disputed_among
from marketplace.web.forms import blame
from marketplace.web.items import address_of, name_of, titles_of
from marketplace.web.review_forms import SayForm, say_form
from marketplace.web.views import ROWS


@require_safe
@for_agent
def purchases(request: HttpRequest, agent: Agent) -> HttpResponse:
    """Show what an agent has bought, newest first."""
    return _sales(request, agent, sold=False)


@require_safe
@for_agent
def sold(request: HttpRequest, agent: Agent) -> HttpResponse:
    """Show what an agent has sold, newest first."""
    return _sales(request, agent, sold=True)


@private
def purchase(request: HttpRequest, sale_id: str) -> HttpResponse:
    """Show one purchase to its parties. The buyer may review it there, the seller answer the review."""
    row, party = own_sale(request, sale_id)
    mine = row.buyer == party
    review = Review.objects.filter(id=row.id).first()
    form = say_form(row, review, as_buyer=mine, typed=request.POST or None)
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            form.say(row.id, party, metadata_of(request))
        except LatentMASError as error:
            blame(form, error)
        else:
            return redirect("my-purchase", row.id)
    return _shown(request, row, review, form, mine=mine)


@require_safe
@private
def file(request: HttpRequest, sale_id: str) -> HttpResponseBase:
    """Download what was bought; no cache keeps it."""
    row, party = own_sale(request, sale_id)
    if row.buyer != party:
        raise Http404("what was delivered is its buyer's alone")
    return _or_why(request, row, ft.partial(_sent, request, row))


@require_safe
@private
def receipt(request: HttpRequest, sale_id: str) -> HttpResponseBase:
    """Download the signed receipt, with what proves its event in the log."""
    row, _ = own_sale(request, sale_id)
    return _or_why(request, row, ft.partial(_receipt, request, row))


def _sales(request: HttpRequest, agent: Agent, *, sold: bool) -> HttpResponse:
    given = {"before": request.GET["before"]} if request.GET.get("before") else {}
    try:
        before = read(given, PurchasesInput).get("before")
    except ValidationError as error:
        raise Http404("`before` is no time") from error
    found = queries.sales_of(agent.id, as_seller=sold, before=before, limit=ROWS + 1)
    rows = found[:ROWS]
    titles = titles_of(row.item for row in rows)
    context = own_agents(request, agent) | {
        "sold": sold,
        "rows": [(row, name_of(row.kind), titles.get(row.item, row.item)) for row in rows],
        "handles": handles_of(row.buyer if sold else row.seller for row in rows),
        "disputed": disputed_among(row.id for row in rows),
        "next_before": rows[-1].opened_at.isoformat() if len(found) > ROWS else None,
        "first": not given,
    }
    return render(request, "purchases.html", context)


def _shown(request: HttpRequest, row: Sale, review: Review | None, form: SayForm | None, *, mine: bool) -> HttpResponse:
    document = sale_document(row, as_buyer=mine)
    report: dict[str, Any] | None = None
    if mine:
        try:
            report = report_of(row)
        except LatentMASError as error:
            messages.warning(request, error.message)
    agents = [row.buyer, row.seller, *(each["agent"] for each in document["shares"] if each["agent"])]
    context = {
        "sale": document,
        "mine": mine,
        "kind_name": name_of(row.kind),
        "item_url": address_of(row.kind, row.item),
        "item_title": titles_of([row.item]).get(row.item, row.item),
        "report": None if report is None else json.dumps(report, indent=2, ensure_ascii=False),
        "review": review,
        "form": form,
        "handles": handles_of(agents),
        **dispute_of(row, mine=mine),
        **acceptance_of(row.buyer if mine else row.seller, row.id),
    }
    return render(request, "purchase.html", context)


def own_sale(request: HttpRequest, sale_id: str) -> tuple[Sale, str]:
    """Return a sale of one of the login's agents, and which of them it is. Raises Http404."""
    agents = viewer_of(request).agents
    try:
        row = queries.sale_of_party(sale_id, agents)
    except NotFound as error:
        raise Http404(error.message) from error
    return row, row.buyer if row.buyer in agents else row.seller


def _or_why(request: HttpRequest, row: Sale, work: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Return what `work` does, or lead back to the purchase, which then says why there is none."""
    try:
        return work()
    except LatentMASError as error:
        messages.error(request, error.message)
        return redirect("my-purchase", row.id)


def _sent(request: HttpRequest, row: Sale) -> HttpResponseBase:
    bought = file_of(row)
    return send_file(request, digest=bought.digest, size=bought.size, name=bought.name, private=True)


def _receipt(request: HttpRequest, row: Sale) -> HttpResponse:
    document = receipt_document(row.id, metadata=metadata_of(request))
    response = HttpResponse(json.dumps(document, indent=2), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="receipt-{row.id}.json"'
    return response
