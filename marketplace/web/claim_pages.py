"""Claims by pages: the dispute of a purchase, and the texts that are named before one."""

from datetime import datetime

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST

from latentmas.protocol.errors import LatentMASError
from marketplace.agents.queries import handles_of
from marketplace.claims.acceptance_commands import promises_with, request_acceptance
from marketplace.claims.aggregate import WINDOW
from marketplace.claims.models import Dispute
from marketplace.sales.quotes import Quoted
from marketplace.web.acting import metadata_of, private
from marketplace.web.bodies import too_large
from marketplace.web.buying_pages import of_quote, quote_page
from marketplace.web.claim_forms import TextsForm, step_form
from marketplace.web.claims import dispute_of
from marketplace.web.forms import blame
from marketplace.web.items import address_of, name_of, titles_of
from marketplace.web.purchase_pages import own_sale


@private
def dispute(request: HttpRequest, sale_id: str) -> HttpResponse:
    """Show the dispute of a purchase to its parties, with the form for what this one may do now."""
    row, party = own_sale(request, sale_id)
    mine, now = row.buyer == party, timezone.now()
    found = Dispute.objects.filter(id=row.id).first()
    form = step_form(row, found, as_buyer=mine, at=now, typed=request.POST or None)
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            form.take(row, agent=party, at=now, metadata=metadata_of(request))
        except LatentMASError as error:
            blame(form, error)
        else:
            return redirect("my-dispute", row.id)
    context = {
        "sale": row,
        "mine": mine,
        "kind_name": name_of(row.kind),
        "item_url": address_of(row.kind, row.item),
        "item_title": titles_of([row.item]).get(row.item, row.item),
        "form": form,
        "until": None if row.captured_at is None else row.captured_at + WINDOW,
        "handles": handles_of([row.buyer, row.seller]),
        **dispute_of(row, mine=mine),
    }
    return render(request, "dispute.html", context)


@csrf_exempt  # only so far that the size is looked at first
@private
def name_texts(request: HttpRequest) -> HttpResponse:
    """Show the form for the texts of a quote, or name those that it sends; then show the quote again."""
    if mistake := too_large(request, settings.DATA_UPLOAD_MAX_MEMORY_SIZE):
        messages.error(request, f"{mistake} Ask for the price again, and name shorter texts.")
        return redirect("home")
    return _named(request)


@csrf_protect
@require_POST
@of_quote
def _named(request: HttpRequest, quoted: Quoted) -> HttpResponse:
    at = timezone.now()
    try:
        promises = promises_with(quoted.quote, buyer=quoted.quote.buyer, at=at)
    except LatentMASError as error:
        return quote_page(request, quoted, refused=error)
    form = TextsForm(quoted.token, promises)
    if "length" in request.POST:  # without it the quote's page has led here
        form = TextsForm(quoted.token, promises, request.POST, request.FILES)
    if form.is_valid() and _request(request, quoted, form, at):
        messages.success(request, "The texts are named. Now buy: within a minute of it they are measured on.")
        return quote_page(request, quoted)
    context = {"form": form, "quoted": quoted.quote, "promises": promises, "title": "Have it measured on your texts"}
    return render(request, "name_texts.html", context)


def _request(request: HttpRequest, quoted: Quoted, form: TextsForm, at: datetime) -> bool:
    """Name the texts, or show in the form why not."""
    length, buyer = form.cleaned_data["length"], quoted.quote.buyer
    try:
        request_acceptance(quoted.quote, form.named(), buyer=buyer, length=length, at=at, metadata=metadata_of(request))
    except LatentMASError as error:
        form.blame(error)
        return False
    return True
