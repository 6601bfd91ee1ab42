"""The actions of the admin on listings and versions: each is confirmed, or given its reason, and calls the command."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from django import forms
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse

from latentmas import admin_pages
from latentmas.events.types import Metadata
from marketplace.listings.commands import certify_version, request_certification, revoke_certificate
from marketplace.listings.events.certification import VersionCertified
from marketplace.listings.lifecycle.commands import (
    By,
    delist,
    quarantine_listing,
    release_listing,
    yank_version,
)
from marketplace.listings.models import Listing, ListingVersion
from marketplace.texts.checks import REASON_CHARACTERS

TEMPLATE = "admin/listings/confirm.html"
Row: TypeAlias = Listing | ListingVersion


class ConfirmForm(forms.Form):
    """Asks for nothing but a confirmation."""


class ReasonForm(ConfirmForm):
    reason = forms.CharField(max_length=REASON_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3}))


@dataclass(frozen=True, slots=True)
class Action:
    """What a page says before the action, and the command: row, reason ("" where none is asked for) -> outcome."""

    effect: str
    apply: Callable[[Any, str, Metadata], str]
    form: type[ConfirmForm] = ReasonForm


def carry_out(
    page: "ModelAdmin[Any]", request: HttpRequest, verb: str, rows: Sequence[Row], *, chosen: Sequence[str]
) -> HttpResponse | None:
    """Show what an action would do to the rows, or do it to all of them or none; None leads back to the list.

    `chosen` are the keys that were ticked in the list.
    """
    noun = "version" if verb in OF_VERSIONS else "listing"
    return ask(page, request, ACTIONS[verb], Asked(verb, noun, rows, chosen, TEMPLATE))


@dataclass(frozen=True, slots=True)
class Asked:
    """What an action is asked for: `rows` are what it concerns, `chosen` the keys that were ticked in the list."""

    verb: str
    noun: str
    rows: Sequence[Any]
    chosen: Sequence[str]
    template: str

    @property
    def title(self) -> str:
        return f"{self.verb.capitalize()} {len(self.rows)} {self.noun}{'s'[: len(self.rows) != 1]}"


def ask(page: "ModelAdmin[Any]", request: HttpRequest, action: Action, asked: Asked) -> HttpResponse | None:
    """Show what an action would do, or do it to all rows or none; None leads back to the list."""

    def apply(typed: dict[str, Any]) -> list[str]:
        return _apply_all(request, asked.rows, action, typed.get("reason", ""))

    context: dict[str, Any] = {"title": asked.title, "action": asked.verb, "effect": action.effect}
    context |= {"rows": asked.rows, "chosen": asked.chosen}
    return admin_pages.carry_out(page, request, asked.template, form=action.form, apply=apply, **context)


def _apply_all(request: HttpRequest, rows: Sequence[Any], action: Action, reason: str) -> list[str]:
    metadata = Metadata(actor=f"user:{request.user.pk}")
    return [f"{_name(each)}: {action.apply(each, reason, metadata)}." for each in rows]


def _name(row: Any) -> str:
    if isinstance(row, Listing | ListingVersion):
        return f"{row.source_model} to {row.target_model} {row.version or ''}"
    return str(row)


def _certify(version: ListingVersion, reason: str, metadata: Metadata) -> str:
    decision = certify_version(version.listing_id, version=version.version, metadata=metadata)
    if isinstance(decision, VersionCertified):
        return f"certified {decision.tier.value}"
    return f"refused: {'; '.join(decision.reasons)}"


def _measure(version: ListingVersion, reason: str, metadata: Metadata) -> str:
    request_certification(version.listing_id, version=version.version, requested_by=metadata.actor)
    return "the certifier measures it"


def _revoke(version: ListingVersion, reason: str, metadata: Metadata) -> str:
    revoke_certificate(version.listing_id, version=version.version, reason=reason, metadata=metadata)
    return "certificate revoked"


def _yank(version: ListingVersion, reason: str, metadata: Metadata) -> str:
    yank_version(version.listing_id, version=version.version, reason=reason, by=By(None, metadata))
    return "withdrawn"


def _quarantine(listing: Listing, reason: str, metadata: Metadata) -> str:
    quarantine_listing(listing.id, reason=reason, by=By(None, metadata))
    return "in quarantine"


def _release(listing: Listing, reason: str, metadata: Metadata) -> str:
    release_listing(listing.id, reason=reason, by=By(None, metadata))
    return "released"


def _delist(listing: Listing, reason: str, metadata: Metadata) -> str:
    delist(listing.id, reason=reason, by=By(None, metadata))
    return "delisted"


OF_VERSIONS: Mapping[str, Action] = {
    "measure": Action(
        "The certifier examines the files, measures them on public and private texts, and decides about their "
        "certificates. This takes hours of a worker each.",
        _measure,
        ConfirmForm,
    ),
    "certify": Action(
        "The transfer contract decides: each version gets the certificate its measurement earns, or a recorded "
        "refusal with the reasons.",
        _certify,
        ConfirmForm,
    ),
    "revoke": Action(
        "The certificates become void, and the reason becomes part of the record. Another certificate needs another "
        "measurement.",
        _revoke,
    ),
    "yank": Action(
        "These versions will no longer be listed or downloadable. Their record stays, and the reason becomes part of "
        "it.",
        _yank,
    ),
}
OF_LISTINGS: Mapping[str, Action] = {
    "quarantine": Action(
        "Nothing of these listings is offered, downloaded, applied or changed until their release. Everybody who asks "
        "for them reads the reason.",
        _quarantine,
    ),
    "release": Action("These listings are as they were before their quarantine.", _release),
    "delist": Action(
        "The offer of these listings ends for good; who has got a file keeps it. Everybody reads the reason.", _delist
    ),
}
ACTIONS: Mapping[str, Action] = {**OF_VERSIONS, **OF_LISTINGS}
