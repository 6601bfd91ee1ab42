"""The queue of moderation: what users report, answered by curators for a reason."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from latentmas.admin_pages import ReadOnlyAdmin, carry_out
from marketplace.curated import Curated
from marketplace.curation.commands import erase_reports, resolve_report
from marketplace.curation.models import MAX_TEXT, Outcome, Report

admin.site.index_template = "admin/curation/index.html"

TEMPLATE = "admin/curation/resolve.html"
Resolve = Callable[[Report, User, str], None]


class NoteForm(forms.Form):
    note = forms.CharField(max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 3}), label="Why")


class OpenFilter(admin.SimpleListFilter):
    """Shows the open reports unless others are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*Outcome.choices, ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        default, *others = super().choices(changelist)
        yield default | {"display": "Open"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Report]) -> QuerySet[Report]:
        return queryset if self.value() == "all" else queryset.filter(outcome=self.value())


@admin.register(Report)
class ReportAdmin(Curated, ReadOnlyAdmin):
    actions = ("uphold", "dismiss", "erase", *ReadOnlyAdmin.actions)
    list_display = ("created_at", "kind", "beginning", "listing", "reporter", "outcome", "resolved_by")
    list_filter = (OpenFilter, "kind")
    list_select_related = ("reporter", "resolved_by")
    search_fields = ("listing_id", "reporter__username")
    fields = (
        *("kind", "text", "listing", "reporter", "created_at"),
        *("outcome", "note", "resolved_by", "resolved_at"),
    )
    readonly_fields = fields

    @admin.display(description="text")
    def beginning(self, row: Report) -> str:
        return row.text[:80] or "(erased)"

    @admin.display(description="listing")
    def listing(self, row: Report) -> str:
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:listings_listing_change", args=[row.listing_id]), row.listing_id
        )

    @admin.action(description="Uphold: it is right", permissions=["curate"])
    def uphold(self, request: HttpRequest, queryset: QuerySet[Report]) -> HttpResponse | None:
        return self._resolve(request, queryset, Outcome.UPHELD, "uphold")

    @admin.action(description="Dismiss", permissions=["curate"])
    def dismiss(self, request: HttpRequest, queryset: QuerySet[Report]) -> HttpResponse | None:
        return self._resolve(request, queryset, Outcome.DISMISSED, "dismiss")

    @admin.action(description="Erase what was written, for good", permissions=["curate"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Report]) -> None:
        messages.success(request, f"Erased {erase_reports(list(queryset.values_list('id', flat=True)))}.")

    def _resolve(
        self, request: HttpRequest, queryset: QuerySet[Report], outcome: Outcome, action: str
    ) -> HttpResponse | None:
        """Ask for the reason, then answer every chosen report or none; None leads back to the list."""
        assert isinstance(request.user, User)  # the admin lets in nobody else
        reports = list(queryset)
        curator = request.user

        def apply(typed: dict[str, Any]) -> list[str]:
            for report in reports:
                resolve_report(report, curator, outcome=outcome, note=typed["note"])
            return [f"{outcome.label}: {len(reports)}."]

        title = f"{action.capitalize()} {len(reports)} report{'' if len(reports) == 1 else 's'}"
        context = {"title": title, "action": action, "reports": reports, "chosen": [report.pk for report in reports]}
        return carry_out(self, request, TEMPLATE, form=NoteForm, apply=apply, **context)
