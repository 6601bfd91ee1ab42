"""The pages that publish a W-Matrix, or another version of one, by a form with its file."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias, cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError, NotFound
from marketplace.agents.queries import owner_name
from marketplace.listings.events.listing import StoredFile, VersionPublished
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.models import Listing
from marketplace.listings.publishing.publication import open_listing, publish_upload, published_from
from marketplace.listings.visibility import viewer_of, worked_on
from marketplace.uploads.commands import end_upload
from marketplace.uploads.queries import get_stored, get_upload
from marketplace.uploads.receiving import receive_form_file
from marketplace.web.account_pages import FORM, need_agent
from marketplace.web.bodies import too_large
from marketplace.web.forms import PublishForm, VersionForm, blame
from marketplace.web.listing_pages import seen_listing

Publish: TypeAlias = Callable[[Any, By], object]
LEDE = (
    "The file is scanned before it is offered, and then measured by the certifier. What you say of its quality is "
    "shown as declared, beside what is measured."
)


@csrf_exempt  # only so far that the size is looked at first: the check of the token reads the whole body
@login_required
def publish(request: HttpRequest) -> HttpResponse:
    """Show the form, or list the W-Matrix that it sends."""

    def carry_out(form: PublishForm, by: By) -> None:
        offer = form.offer()
        published = _published(form, offer.source_model, offer.target_model)
        open_listing(offer, published, signature=None, by=by)

    return _bounded(request, PublishForm, carry_out, {"title": "Publish a W-Matrix"})


@csrf_exempt  # as above
@login_required
def publish_version(request: HttpRequest, listing_id: str) -> HttpResponse:
    """Show the form, or publish the version that it sends in a listing that the login works on."""
    row = seen_listing(request, listing_id)
    if not worked_on(Listing.objects.filter(id=row.id), viewer_of(request)).exists():
        raise Http404("you work on no such listing")

    def carry_out(form: VersionForm, by: By) -> None:
        published = _published(form, row.source_model, row.target_model)
        publish_upload(row.id, published, signature=None, by=by)

    return _bounded(request, VersionForm, carry_out, {"title": "Publish a version", "row": row})


def _bounded(request: HttpRequest, shape: type[VersionForm], publish: Publish, shown: dict[str, Any]) -> HttpResponse:
    """Refuse a body by its declared length, and only then read the form."""
    shown |= {"lede": LEDE, "submit": "Publish", "uploads": reverse("uploads")}
    if mistake := too_large(request, settings.MAX_FILE_BYTES):
        context = shown | {"form": shape(cast(User, request.user)), "mistake": mistake}
        return render(request, FORM, context, status=413)
    return need_agent(request) or _read(request, shape, publish, shown)


@csrf_protect
def _read(request: HttpRequest, shape: type[VersionForm], publish: Publish, shown: dict[str, Any]) -> HttpResponse:
    user = cast(User, request.user)
    form = shape(user, request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            publish(form, By(form.cleaned_data["agent"], Metadata(actor=owner_name(user))))
        except LatentMASError as error:
            blame(form, error)
        else:
            _end_upload(form)
            return redirect("my-listings")
    return render(request, FORM, shown | {"form": form})


def _published(form: VersionForm, source_model: str, target_model: str) -> VersionPublished:
    """Store the form's file, or take the one that was sent before, and return the version that it is."""
    typed = form.cleaned_data
    if typed["file"]:
        file = StoredFile(*receive_form_file(typed["file"]))
    else:
        upload = get_stored(typed["agent"], typed["upload"])
        file = StoredFile(upload.digest, upload.size)
    return published_from(file, form.declared(), source_model=source_model, target_model=target_model)


def _end_upload(form: VersionForm) -> None:
    """Forget what was sent before; the published file stays."""
    typed = form.cleaned_data
    if typed["upload"]:
        with suppress(NotFound):  # the form's own file was published, and this has expired
            end_upload(get_upload(typed["agent"], typed["upload"]))
