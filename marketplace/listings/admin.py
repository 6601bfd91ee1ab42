"""Listings in the admin: read-only but for actions on versions, which call commands."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from latentmas.admin_pages import ReadOnlyAdmin
from marketplace.curated import Curated
from marketplace.listings import admin_actions
from marketplace.listings.certificates.standing import scope_of_row
from marketplace.listings.models import Listing, ListingVersion
from marketplace.listings.queues import QUEUES, queued
from marketplace.listings.timeline import timeline

admin.site.site_header = "LatentMAS"
admin.site.site_title = "LatentMAS"
admin.site.index_title = "Curate models and listings"


class QueueFilter(admin.SimpleListFilter):
    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, title) for name, (title, _) in QUEUES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ListingVersion]) -> QuerySet[ListingVersion]:
        name = self.value()
        return queryset if name is None else queryset.filter(id__in=queued(name, at=timezone.now()).values("id"))


class ActingAdmin(Curated, ReadOnlyAdmin):
    """Admin of a projection: rows are read-only and change by actions alone."""

    actions = ("measure", "certify", "revoke", "yank", *ReadOnlyAdmin.actions)
    change_form_template = "admin/listings/detail.html"
    list_per_page = 50

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow whoever may act on the rows to view them."""
        may = (super().has_view_permission(request, obj), self.has_certify_permission(request))
        return any(may) or self.has_curate_permission(request)

    def has_certify_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("listings.change_listingversion")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        # Keys of versions hold a slash, which the admin writes as _2F in addresses.
        listing_id = unquote(object_id).split("/")[0]
        extra = {"timeline": timeline(listing_id)[::-1], "people": _people(), "listing_id": listing_id}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | extra)

    def versions_of(self, queryset: QuerySet[Any]) -> Sequence[ListingVersion]:
        raise NotImplementedError

    def act(self, request: HttpRequest, queryset: QuerySet[Any], verb: str) -> HttpResponse | None:
        """Carry out an action on the versions that the chosen rows stand for."""
        return admin_actions.carry_out(self, request, verb, self.versions_of(queryset), chosen=_keys(queryset))

    @admin.action(description="Have the certifier measure", permissions=["certify"])
    def measure(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.act(request, queryset, "measure")

    @admin.action(description="Certify by the measurement", permissions=["certify"])
    def certify(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.act(request, queryset, "certify")

    @admin.action(description="Revoke the certificate for a reason", permissions=["certify"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.act(request, queryset, "revoke")

    @admin.action(description="Yank for a reason", permissions=["curate"])
    def yank(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.act(request, queryset, "yank")


@admin.register(Listing)
class ListingAdmin(ActingAdmin):
    actions = (*ActingAdmin.actions, "quarantine", "release", "delist")
    list_display = (
        "pair",
        "basis",
        "loss",
        "kept",
        "certificate",
        "covers",
        "version",
        "method",
        "seller",
        "updated_at",
    )
    list_filter = (
        *("basis", "tier", "method", "access"),
        ("quarantined_at", admin.EmptyFieldListFilter),
        ("delisted_at", admin.EmptyFieldListFilter),
        *("source_model", "target_model"),
    )
    search_fields = ("id", "title", "source_model", "target_model", "seller", "file_digest")
    ordering = ("basis_rank", "epsilon", "id")

    @admin.display(description="source to target", ordering="source_model")
    def pair(self, row: Listing) -> str:
        return f"{row.source_model} to {row.target_model}"

    @admin.display(description="epsilon", ordering="epsilon")
    def loss(self, row: Listing) -> str:
        return _figure(row.epsilon)

    @admin.display(description="retention", ordering="retention")
    def kept(self, row: Listing) -> str:
        return _figure(row.retention)

    @admin.display(description="certificate", ordering="tier")
    def certificate(self, row: Listing) -> str:
        return row.tier_at(timezone.now()) or ("expired" if row.tier else "none")

    @admin.display(description="up to")
    def covers(self, row: Listing) -> str:
        return _covers(row)

    def versions_of(self, queryset: QuerySet[Any]) -> Sequence[ListingVersion]:
        """An action on a listing concerns its newest version on offer."""
        keys = [f"{row.id}/{row.version}" for row in queryset if row.version]
        return list(ListingVersion.objects.filter(id__in=keys).order_by("source_model", "target_model", "id"))

    @admin.action(description="Quarantine for a reason", permissions=["curate"])
    def quarantine(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return admin_actions.carry_out(self, request, "quarantine", list(queryset), chosen=_keys(queryset))

    @admin.action(description="Release from quarantine for a reason", permissions=["curate"])
    def release(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return admin_actions.carry_out(self, request, "release", list(queryset), chosen=_keys(queryset))

    @admin.action(description="Delist for good, for a reason", permissions=["curate"])
    def delist(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return admin_actions.carry_out(self, request, "delist", list(queryset), chosen=_keys(queryset))


@admin.register(ListingVersion)
class ListingVersionAdmin(ActingAdmin):
    list_display = ("pair", "version", "basis", "loss", "tier", "covers", "refusal_code", "yanked_at", "published_at")
    list_filter = (QueueFilter, "basis", "tier", "refusal_code", ("yanked_at", admin.EmptyFieldListFilter), "method")
    search_fields = ("id", "source_model", "target_model", "file_digest")
    ordering = ("-published_at", "id")

    @admin.display(description="source to target", ordering="source_model")
    def pair(self, row: ListingVersion) -> str:
        return f"{row.source_model} to {row.target_model}"

    @admin.display(description="epsilon", ordering="epsilon")
    def loss(self, row: ListingVersion) -> str:
        return _figure(row.epsilon)

    @admin.display(description="up to")
    def covers(self, row: ListingVersion) -> str:
        return _covers(row)

    def versions_of(self, queryset: QuerySet[Any]) -> Sequence[ListingVersion]:
        return list(queryset.order_by("source_model", "target_model", "id"))


def _keys(queryset: QuerySet[Any]) -> list[str]:
    return [str(row.pk) for row in queryset]


def _people() -> dict[str, str]:
    """Return the user names of the staff by actor."""
    staff = get_user_model().objects.filter(is_staff=True)
    return {f"user:{user.pk}": user.get_username() for user in staff}


def _covers(row: Listing | ListingVersion) -> str:
    """Return the longest context that the certificate covers."""
    scope = scope_of_row(row)
    return f"{scope.longest} tokens" if scope else "not stated" if row.tier else "none"


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"
