"""What admin pages of the marketplace share: whom curation is for, and the events of a row's stream below the row."""

from typing import Any, ClassVar

from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.events.commands import Aggregate
from latentmas.events.queries import timeline
from latentmas.rest.scopes import MARKETPLACE_ADMIN, RESTRICTED


class Curated:
    """Actions with `permissions=["curate"]` are for curators."""

    def has_curate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RESTRICTED[MARKETPLACE_ADMIN])


class CuratedAdmin(Curated, ReadOnlyAdmin):
    """Whoever curates sees the rows, too."""

    list_per_page = 50

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_curate_permission(request)


class StreamAdmin(ReadOnlyAdmin):
    """Shows the events of a row's stream, whose identifier is the row's key, or begins it before a slash."""

    aggregate: ClassVar[Aggregate[Any]]
    change_form_template = "admin/events/with_timeline.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        identifier = unquote(object_id).partition("/")[0]  # the admin writes a slash as _2F
        extra = {"timeline": timeline(self.aggregate.stream(identifier))}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | extra)
