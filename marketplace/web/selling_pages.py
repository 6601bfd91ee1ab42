"""The page that publishes a W-Matrix by a form."""

from typing import cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.agents.queries import owner_name
from marketplace.listings.events import StoredFile
from marketplace.listings.lifecycle_commands import By
from marketplace.listings.publication import open_listing, published_from
from marketplace.uploads.receiving import receive_form_file
from marketplace.web.account_pages import FORM, need_agent
from marketplace.web.forms import PublishForm, blame

CONTEXT = {
    "title": "Publish a W-Matrix",
    "lede": "The file is scanned before it is offered, and then measured by the certifier. What you say of its "
    "quality is shown as declared, beside what is measured.",
    "submit": "Publish",
}


@csrf_exempt  # only so far that the size is looked at first: the check of the token reads the whole body
@login_required
def publish(request: HttpRequest) -> HttpResponse:
    """Show the form, or list the file that it sends."""
    if (came := _length(request)) > settings.MAX_FILE_BYTES:
        form = PublishForm(cast(User, request.user))
        mistake = f"The file is too large: the form has {came} bytes, the limit is {settings.MAX_FILE_BYTES}."
        return render(request, FORM, CONTEXT | {"form": form, "mistake": mistake}, status=413)
    return need_agent(request) or _publish(request)


@csrf_protect
def _publish(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = PublishForm(user, request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            _list(form, user)
        except LatentMASError as error:
            blame(form, error)
        else:
            return redirect("my-listings")
    return render(request, FORM, CONTEXT | {"form": form})


def _list(form: PublishForm, user: User) -> None:
    offer = form.offer()
    file = StoredFile(*receive_form_file(form.cleaned_data["file"]))
    models = {"source_model": offer.source_model, "target_model": offer.target_model}
    published = published_from(file, form.declared(), **models)
    by = By(form.cleaned_data["agent"], Metadata(actor=owner_name(user)))
    open_listing(offer, published, signature=None, by=by)


def _length(request: HttpRequest) -> int:
    """Return the declared length of the body; Django reads none where it is no number."""
    declared = str(request.META.get("CONTENT_LENGTH") or "0")
    return int(declared) if declared.isascii() and declared.isdigit() else 0
