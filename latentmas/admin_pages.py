"""What admin pages share: rows that cannot be edited, their export, and the page that asks before an action is done."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import label_for_field, lookup_field
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils.html import strip_tags
from django.utils.safestring import SafeString

from latentmas.csv_text import CONTENT_TYPE, csv_lines
from latentmas.protocol.errors import LatentMASError

ROWS_AT_ONCE = 1000


class UneditableAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows that are neither added nor changed by hand; they can be deleted."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyAdmin(UneditableAdmin):
    """Shows rows that come from commands and events alone, and exports them."""

    actions: tuple[str, ...] = ("export_csv",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.action(description="Export as CSV", permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Any]) -> StreamingHttpResponse:
        """Answer with the columns of the list; row by row, so that the log fits too."""
        name = f"{self.opts.model_name}.csv"
        return StreamingHttpResponse(
            csv_lines(_rows(self, queryset, list(self.get_list_display(request)))),
            content_type=CONTENT_TYPE,
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
        )


def _rows(page: "admin.ModelAdmin[Any]", rows: QuerySet[Any], columns: list[Any]) -> Iterator[list[object]]:
    yield [label_for_field(name, page.model, page) for name in columns]
    for row in rows.iterator(chunk_size=ROWS_AT_ONCE):
        yield [_cell(lookup_field(name, row, page)[2]) for name in columns]


def _cell(value: object) -> object:
    return strip_tags(value) if isinstance(value, SafeString) else value


def carry_out(
    page: "admin.ModelAdmin[Any]",
    request: HttpRequest,
    template: str,
    *,
    form: type[forms.Form],
    apply: Callable[[dict[str, Any]], Iterable[str]],
    **context: object,
) -> HttpResponse | None:
    """Show what an action would do, or do it to all rows or none; None leads back to the list.

    `apply` gets what the form says and returns a sentence for each row; a LatentMASError of its is shown in the form.
    `context` is that of `confirmation`.
    """
    bound = form(request.POST if "apply" in request.POST else None)
    if bound.is_bound and bound.is_valid():
        try:
            with transaction.atomic():
                outcomes = list(apply(bound.cleaned_data))
        except LatentMASError as error:
            named = error.facts.get("field")
            bound.add_error(str(named) if named in bound.fields else None, error.message)
        else:
            for outcome in outcomes:
                messages.success(request, outcome)
            return None
    return confirmation(page, request, template, form=bound, **context)


def confirmation(
    page: "admin.ModelAdmin[Any]", request: HttpRequest, template: str, **context: object
) -> TemplateResponse:
    """Return the page that shows what an action would do; `template` fills in admin/confirmation.html.

    The context has `title`, `action` (its name), `form`, `chosen` (the ticked keys) and what the template shows.
    """
    common = page.admin_site.each_context(request) | {
        "opts": page.opts,
        "checkbox": ACTION_CHECKBOX_NAME,
        "media": page.media,
    }
    return TemplateResponse(request, template, common | context)
