"""Admin pages that confirm an action on versions, or ask for its reason, and then call the command."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from latentmas.admin_pages import confirmation
from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.listings.certification_events import VersionCertified
from marketplace.listings.commands import certify_version, request_certification, revoke_certificate
from marketplace.listings.lifecycle_commands import By, yank_version
from marketplace.listings.models import ListingVersion
from marketplace.listings.validation import REASON_CHARACTERS

TEMPLATE = "admin/listings/confirm.html"


class ConfirmForm(forms.Form):
    """Certifying asks for nothing but a confirmation: the measurement decides."""


class ReasonForm(ConfirmForm):
    reason = forms.CharField(max_length=REASON_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3}))


Apply = Callable[[ListingVersion, ConfirmForm, Metadata], str]


def certify(
    page: "ModelAdmin[Any]", request: HttpRequest, versions: Sequence[ListingVersion], *, chosen: Sequence[str]
) -> HttpResponse | None:
    """Certify what the measurement allows and record a refusal for the rest; None leads back to the list."""
    form = ConfirmForm(request.POST if "apply" in request.POST else None)
    return _confirm(page, request, versions, chosen=chosen, form=form, verb="certify", apply=_certify)


def measure(
    page: "ModelAdmin[Any]", request: HttpRequest, versions: Sequence[ListingVersion], *, chosen: Sequence[str]
) -> HttpResponse | None:
    """Start the certifier's job for each version; None leads back to the list."""
    form = ConfirmForm(request.POST if "apply" in request.POST else None)
    return _confirm(page, request, versions, chosen=chosen, form=form, verb="measure", apply=_measure)


def revoke(
    page: "ModelAdmin[Any]", request: HttpRequest, versions: Sequence[ListingVersion], *, chosen: Sequence[str]
) -> HttpResponse | None:
    """Void certificates for a reason that becomes part of the record; None leads back to the list."""
    form = ReasonForm(request.POST if "apply" in request.POST else None)
    return _confirm(page, request, versions, chosen=chosen, form=form, verb="revoke", apply=_revoke)


def yank(
    page: "ModelAdmin[Any]", request: HttpRequest, versions: Sequence[ListingVersion], *, chosen: Sequence[str]
) -> HttpResponse | None:
    """Withdraw versions for a reason that becomes part of the record; None leads back to the list."""
    form = ReasonForm(request.POST if "apply" in request.POST else None)
    return _confirm(page, request, versions, chosen=chosen, form=form, verb="yank", apply=_yank)


def _certify(version: ListingVersion, form: ConfirmForm, metadata: Metadata) -> str:
    decision = certify_version(version.listing_id, version=version.version, metadata=metadata)
    if isinstance(decision, VersionCertified):
        return f"certified {decision.tier.value}"
    return f"refused: {'; '.join(decision.reasons)}"


def _measure(version: ListingVersion, form: ConfirmForm, metadata: Metadata) -> str:
    request_certification(version.listing_id, version=version.version, requested_by=metadata.actor)
    return "the certifier measures it"


def _revoke(version: ListingVersion, form: ConfirmForm, metadata: Metadata) -> str:
    reason = form.cleaned_data["reason"]
    revoke_certificate(version.listing_id, version=version.version, reason=reason, metadata=metadata)
    return "certificate revoked"


def _yank(version: ListingVersion, form: ConfirmForm, metadata: Metadata) -> str:
    by = By(agent=None, metadata=metadata)
    yank_version(version.listing_id, version=version.version, reason=form.cleaned_data["reason"], by=by)
    return "withdrawn"


def _confirm(
    page: "ModelAdmin[Any]",
    request: HttpRequest,
    versions: Sequence[ListingVersion],
    *,
    chosen: Sequence[str],
    form: ConfirmForm,
    **what: Any,
) -> HttpResponse | None:
    verb: str = what["verb"]
    if "apply" in request.POST and form.is_valid():
        try:
            outcomes = _apply_all(request, versions, form, what["apply"])
        except LatentMASError as error:
            form.add_error("reason" if error.facts.get("field") == "reason" else None, error.message)
        else:
            for outcome in outcomes:
                messages.success(request, outcome)
            return None
    title = f"{verb.capitalize()} {len(versions)} version{'' if len(versions) == 1 else 's'}"
    return confirmation(page, request, TEMPLATE, title=title, verb=verb, versions=versions, chosen=chosen, form=form)


def _apply_all(request: HttpRequest, versions: Sequence[ListingVersion], form: ConfirmForm, apply: Apply) -> list[str]:
    metadata = Metadata(actor=f"user:{request.user.pk}")
    with transaction.atomic():
        return [
            f"{each.source_model} to {each.target_model} {each.version}: {apply(each, form, metadata)}."
            for each in versions
        ]
