"""The event log in the admin, read-only. latentmas.transparency registers it, with the check of a row."""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.events import store
from latentmas.events.models import Event
from latentmas.events.queries import pretty
from latentmas.events.types import event_types


class TypeFilter(admin.SimpleListFilter):
    """Offers the registered types: a DISTINCT over the log would read all of it."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(event_types())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(type=self.value()) if self.value() else queryset


class LogPaginator(Paginator):  # type: ignore[type-arg]
    """Takes the size of the whole log from its head row; positions have no gaps."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet) and not rows.query.where:
            return store.head_position()
        return len(rows) if not isinstance(rows, QuerySet) else rows.count()


class EventAdmin(ReadOnlyAdmin):
    list_display = ("position", "type", "stream", "version", "actor", "recorded_at")
    list_filter = (TypeFilter,)
    search_fields = ("stream__startswith",)
    search_help_text = "The beginning of a stream's name, such as listing/"
    ordering = ("-position",)
    paginator = LogPaginator
    show_full_result_count = False
    fields = (
        "position",
        "type",
        "schema",
        "stream",
        "version",
        "recorded_at",
        "shown_payload",
        "shown_metadata",
        "event_id",
        "shown_leaf_hash",
        "shown_body",
    )
    readonly_fields = fields

    @admin.display(description="actor")
    def actor(self, row: Event) -> str:
        return str(row.metadata.get("actor", ""))

    @admin.display(description="payload")
    def shown_payload(self, row: Event) -> str:
        return format_html("<pre>{}</pre>", pretty(row.payload))

    @admin.display(description="metadata")
    def shown_metadata(self, row: Event) -> str:
        return format_html("<pre>{}</pre>", pretty(row.metadata))

    @admin.display(description="leaf hash")
    def shown_leaf_hash(self, row: Event) -> str:
        return format_html("<code>{}</code>", bytes(row.leaf_hash).hex())

    @admin.display(description="body")
    def shown_body(self, row: Event) -> str:
        return format_html("<pre>{}</pre>", bytes(row.body).decode(errors="replace"))
