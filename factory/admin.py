"""Calibration packs in the admin, read-only."""

from django.contrib import admin

from factory.models import CalibrationPack
from latentmas.admin_pages import ReadOnlyAdmin


@admin.register(CalibrationPack)
class CalibrationPackAdmin(ReadOnlyAdmin):
    list_display = (
        "model",
        "space",
        "corpus",
        "documents",
        "width",
        "size",
        "contributor",
        "refused",
        "recorded_at",
        "digest",
    )
    list_filter = ("space", "model", "corpus", ("contributor", admin.EmptyFieldListFilter))
    search_fields = ("model", "digest", "contributor")
