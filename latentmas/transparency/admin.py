"""The log, its checkpoints and signing keys in the admin, read-only; keys end by the command `signing_keys`."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.events.admin import EventAdmin
from latentmas.events.models import Event
from latentmas.transparency import queries
from latentmas.transparency.checkpoints import cosigned_note
from latentmas.transparency.models import Checkpoint, SigningKey


@admin.register(Event)
class SealedEventAdmin(EventAdmin):
    """Verifies a row where its page is asked with `?verify`."""

    change_form_template = "admin/transparency/event.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        extra: dict[str, Any] = {}
        if (
            "verify" in request.GET
            and self.has_view_permission(request)
            and (row := self.get_object(request, object_id))
        ):
            extra["verdict"] = queries.verify_row(row.position)
        return super().change_view(request, object_id, form_url, (extra_context or {}) | extra)


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("size", "sealed_at")
    show_full_result_count = False
    fields = readonly_fields = ("size", "sealed_at", "shown_note")

    @admin.display(description="note")
    def shown_note(self, row: Checkpoint) -> str:
        return format_html("<pre>{}</pre>", cosigned_note(row))


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    list_display = ("key_id", "purpose", "state", "created_at")
