"""Jobs in the admin, read-only."""

from django.contrib import admin

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.jobs.models import Job


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "state", "progress", "requested_by", "attempts", "finished_at", "id")
    list_filter = ("state", "kind")
    search_fields = ("id", "requested_by")
    date_hierarchy = "created_at"
    list_per_page = 50

    @admin.display(description="progress")
    def progress(self, row: Job) -> str:
        return f"{row.stage} {row.done}/{row.total}" if row.stage else ""
