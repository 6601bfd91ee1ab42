"""Checkpoints and signing keys in the admin, read-only; keys end by the command `signing_keys`."""

from django.contrib import admin
from django.utils.html import format_html

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.transparency.checkpoints import cosigned_note
from latentmas.transparency.models import Checkpoint, SigningKey


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("size", "sealed_at")
    show_full_result_count = False
    actions = None
    fields = readonly_fields = ("size", "sealed_at", "shown_note")

    @admin.display(description="note")
    def shown_note(self, row: Checkpoint) -> str:
        return format_html("<pre>{}</pre>", cosigned_note(row))


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    list_display = ("key_id", "purpose", "state", "created_at")
    actions = None
