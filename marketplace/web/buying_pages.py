"""Buying by pages: a form on the item's page, the quote with its breakdown, and the purchase that confirms it."""

import functools as ft
from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from latentmas.protocol.errors import LatentMASError
from marketplace.agents.queries import handles_of
from marketplace.ledger.accounts import wallet
from marketplace.ledger.balances import balance_of
from marketplace.listings.visibility import viewer_of
from marketplace.sales.commands import Buyer
from marketplace.sales.errors import QuoteInvalid
from marketplace.sales.goods import Kind
from marketplace.sales.outputs import quote_document
from marketplace.sales.purchasing import buy
from marketplace.sales.quotes import Quoted, quote, quoted_again
from marketplace.web.account_pages import need_agent
from marketplace.web.acting import metadata_of, private
from marketplace.web.buying_forms import BUY_FORMS
from marketplace.web.claims import acceptance_of, offered_with
from marketplace.web.forms import blame
from marketplace.web.items import NAMES, address_of, seen_artefact, titles_of
from marketplace.web.listing_pages import seen_listing


def buying(request: HttpRequest, kind: Kind, item: str, *, version: str) -> dict[str, Any]:
    """Return what an item's page needs to show the form that asks for a quote; none to who is not logged in."""
    shown: dict[str, Any] = {"buy_kind": kind.value, "buy_item": item}
    if request.user.is_authenticated:
        shown["buy_form"] = BUY_FORMS[kind](request.user, initial={"version": version})
    return shown


@private
def ask_price(request: HttpRequest, kind: str, item: str) -> HttpResponse:
    """Show the form, or the quote that it asks for. A quote changes nothing and is stored nowhere."""
    goods = _seen(request, kind, item)
    if leads := need_agent(request):
        return leads
    form = BUY_FORMS[goods](cast(User, request.user), request.POST or None)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            made = quote(goods, item, version=typed["version"] or None, delivery=form.delivery(), buyer=typed["agent"])
        except LatentMASError as error:
            blame(form, error)
        else:
            return quote_page(request, made)
    context = {"title": "Buy", "item_url": address_of(kind, item), "item_title": titles_of([item]).get(item, item)}
    return render(request, "buy.html", context | {"buy_form": form, "buy_kind": kind, "buy_item": item})


def of_quote(view: Callable[[HttpRequest, Quoted], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Decorate a view of a form with the token of a quote, which it gets as it was made; another's is not found.

    A token that was not made here leads back to the market.
    """

    @ft.wraps(view)
    def shown(request: HttpRequest) -> HttpResponse:
        try:
            quoted = quoted_again(request.POST.get("quote", ""))
        except QuoteInvalid as error:
            messages.error(request, f"{error.message[0].upper()}{error.message[1:]}. Ask for another one.")
            return redirect("market")
        if quoted.quote.buyer not in viewer_of(request).agents:
            raise Http404("this quote is not yours")
        return view(request, quoted)

    return shown


@private
@require_POST
@of_quote
def confirm(request: HttpRequest, quoted: Quoted) -> HttpResponse:
    """Buy what a quote is for; the same quote again leads to the same purchase. A refusal is shown with the quote."""
    try:
        sale, new = buy(quoted.token, buyer=Buyer(quoted.quote.buyer), metadata=metadata_of(request))
    except LatentMASError as error:
        return quote_page(request, quoted, refused=error)
    messages.success(request, "Bought." if new else "This quote was used for this purchase before.")
    return redirect("my-purchase", sale)


def quote_page(request: HttpRequest, quoted: Quoted, refused: LatentMASError | None = None) -> HttpResponse:
    """Show a quote with what it may be confirmed to; where something with it was refused, why, with that status."""
    document = quote_document(quoted)
    kind, item, price = quoted.quote.offer.kind, quoted.quote.offer.item, document["price"]
    named = acceptance_of(quoted.quote.buyer, quoted.quote.id)
    context = {
        "quote": document,
        "refused": refused,
        "kind_name": NAMES[kind],
        "item_url": address_of(kind, item),
        "item_title": titles_of([item]).get(item, item),
        "handles": handles_of(_named(document)),
        "funds": balance_of(wallet(quoted.quote.buyer, price["currency"])),
        **(named if named["acceptance"] else offered_with(quoted.quote)),
    }
    return render(request, "quote.html", context, status=200 if refused is None else refused.status)


def _named(document: dict[str, Any]) -> list[str]:
    return [document["buyer"], document["seller"], *(each["agent"] for each in document["shares"] if each["agent"])]


def _seen(request: HttpRequest, kind: str, item: str) -> Kind:
    """Return the kind of an item that the visitor may see. Raises Http404."""
    if kind not in list(Kind):
        raise Http404("nothing of this kind is sold here")
    if kind == Kind.W_MATRIX:
        seen_listing(request, item)
    else:
        seen_artefact(request, Kind(kind), item)
    return Kind(kind)
