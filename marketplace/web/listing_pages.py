"""What a visitor may do about one listing: ask for its files, answer who asks, report it."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError, NotFound
from marketplace.agents.queries import get_agent, handles_of, owner_name
from marketplace.curation.commands import report_listing
from marketplace.curation.models import Kind
from marketplace.listings.errors import ListingIsQuarantined, NotAllowed
from marketplace.listings.lifecycle import commands
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.models import Listing, ListingMember
from marketplace.listings.models import Request as AccessRequest
from marketplace.listings.queries import get_listing, managed_listing
from marketplace.listings.visibility import viewer_of
from marketplace.web.account_pages import FORM, need_agent
from marketplace.web.forms import AnswerForm, AskForm, ReportForm, blame


@login_required
def ask(request: HttpRequest, listing_id: str) -> HttpResponse:
    """Ask for the files of a gated listing."""
    row = seen_listing(request, listing_id)
    if leads := need_agent(request):
        return leads
    form = AskForm(cast(User, request.user), request.POST or None)
    if request.method == "POST" and form.is_valid():
        by = By(form.cleaned_data["agent"], _metadata(request))
        try:
            commands.request_access(row.id, message=form.cleaned_data["message"], by=by)
        except LatentMASError as error:
            blame(form, error)
        else:
            messages.success(request, "Your request waits for the seller's answer.")
            return redirect("listing", row.id)
    return render(request, FORM, {"title": "Ask for access", "row": row, "submit": "Ask", "form": form})


@login_required
def access_requests(request: HttpRequest, listing_id: str) -> HttpResponse:
    """Show who asks for the files of a listing of one's own, and grant or refuse them."""
    row, agent = _managed(request, listing_id)
    form = AnswerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _answer(row, form, By(agent, _metadata(request)))
        except LatentMASError as error:
            blame(form, error)
        else:
            return redirect("access-requests", row.id)
    members = ListingMember.objects.filter(listing_id=row.id, request__isnull=False).order_by("changed_at", "agent")
    handles = handles_of(member.agent for member in members)
    named = [(each, handles.get(each.agent, each.agent)) for each in members]
    return render(request, "access_requests.html", {"row": row, "members": named, "form": form})


@login_required
def report(request: HttpRequest, listing_id: str) -> HttpResponse:
    """Report a listing to the curators."""
    row = seen_listing(request, listing_id)
    form = ReportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        kind, text = Kind(form.cleaned_data["kind"]), form.cleaned_data["text"]
        try:
            report_listing(row, cast(User, request.user), kind=kind, text=text)
        except LatentMASError as error:
            blame(form, error)
        else:
            messages.success(request, "Thank you. A curator will look at it.")
            return redirect("listing", row.id)
    return render(request, FORM, {"title": "Report this listing", "row": row, "submit": "Report", "form": form})


def seen_listing(request: HttpRequest, listing_id: str) -> Listing:
    """Return a listing that the visitor may see. Raises Http404."""
    try:
        return get_listing(listing_id, viewer_of(request))
    except (NotFound, ListingIsQuarantined) as error:
        raise Http404(error.message) from error


def _managed(request: HttpRequest, listing_id: str) -> tuple[Listing, str]:
    """Return a listing that one of the login's agents manages, and that agent. Raises Http404."""
    for agent in sorted(viewer_of(request).agents):
        try:
            return managed_listing(listing_id, agent), agent
        except (NotFound, NotAllowed, ListingIsQuarantined):
            continue
    raise Http404("you manage no such listing")


def _answer(row: Listing, form: AnswerForm, by: By) -> None:
    typed = form.cleaned_data
    if typed["decision"] is AccessRequest.GRANTED:
        commands.grant_access(row.id, who=get_agent(typed["agent"]).id, by=by)
    else:
        commands.refuse_access(row.id, who=typed["agent"], reason=typed["reason"], by=by)


def _metadata(request: HttpRequest) -> Metadata:
    return Metadata(actor=owner_name(cast(User, request.user)))
