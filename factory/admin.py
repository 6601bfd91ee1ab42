"""Calibration packs in the admin, read-only."""

from django.contrib import admin
from django.http import HttpRequest

from factory.models import CalibrationPack


@admin.register(CalibrationPack)
class CalibrationPackAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("model", "space", "corpus", "documents", "width", "size", "contributor", "recorded_at", "digest")
    list_filter = ("space", "model", "corpus", ("contributor", admin.EmptyFieldListFilter))
    search_fields = ("model", "digest", "contributor")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: CalibrationPack | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: CalibrationPack | None = None) -> bool:
        return False
