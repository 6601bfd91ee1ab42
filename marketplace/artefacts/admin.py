"""Artefacts in the admin: read-only but for the curators' actions, which ask for a reason and call commands."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.events.types import Metadata
from marketplace.artefacts.aggregate import ARTEFACT
from marketplace.artefacts.commands import quarantine, release
from marketplace.artefacts.models import Artefact, ArtefactVersion
from marketplace.curated import CuratedAdmin, StreamAdmin
from marketplace.listings.admin_actions import Action, Asked, ask
from marketplace.listings.lifecycle.commands import By

TEMPLATE = "admin/effect.html"


def _quarantine(row: Artefact, reason: str, metadata: Metadata) -> str:
    quarantine(row.id, reason=reason, by=By(None, metadata))
    return "in quarantine"


def _release(row: Artefact, reason: str, metadata: Metadata) -> str:
    release(row.id, reason=reason, by=By(None, metadata))
    return "released"


QUARANTINE = Action(
    "Nothing of these is offered, sold, given away or changed until their release. Everybody who asks for them reads "
    "the reason; what was bought stays with its buyers.",
    _quarantine,
)
RELEASE = Action("These are as they were before their quarantine.", _release)


@admin.register(Artefact)
class ArtefactAdmin(StreamAdmin, CuratedAdmin):
    aggregate = ARTEFACT
    actions = ("quarantine", "release", *ReadOnlyAdmin.actions)
    list_display = ("title", "kind", "model", "seller", "price_amount", "price_currency", "version", "updated_at")
    list_filter = (
        "kind",
        "model",
        ("quarantined_at", admin.EmptyFieldListFilter),
        ("withdrawn_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("id", "title", "seller", "file_digest")

    @admin.action(description="Quarantine for a reason", permissions=["curate"])
    def quarantine(self, request: HttpRequest, queryset: QuerySet[Artefact]) -> HttpResponse | None:
        return self._ask(request, queryset, "quarantine", QUARANTINE)

    @admin.action(description="Release from quarantine for a reason", permissions=["curate"])
    def release(self, request: HttpRequest, queryset: QuerySet[Artefact]) -> HttpResponse | None:
        return self._ask(request, queryset, "release", RELEASE)

    def _ask(
        self, request: HttpRequest, queryset: QuerySet[Artefact], verb: str, action: Action
    ) -> HttpResponse | None:
        rows = list(queryset)
        return ask(self, request, action, Asked(verb, "artefact", rows, [row.id for row in rows], TEMPLATE))


@admin.register(ArtefactVersion)
class ArtefactVersionAdmin(StreamAdmin, CuratedAdmin):
    aggregate = ARTEFACT
    list_display = ("id", "screening", "uniqueness", "duplicate_of", "published_at", "screened_at")
    list_filter = ("screening",)
    search_fields = ("id", "file_digest", "duplicate_of")
    ordering = ("-published_at", "id")
