"""What admin pages share: rows that cannot be edited, and the page that asks before an action is carried out."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.http import HttpRequest
from django.template.response import TemplateResponse


class UneditableAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows that are neither added nor changed by hand; they can be deleted."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyAdmin(UneditableAdmin):
    """Shows rows that come from commands and events alone."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def confirmation(
    page: "admin.ModelAdmin[Any]", request: HttpRequest, template: str, **context: object
) -> TemplateResponse:
    """Return the page that shows what an action would do, with its `form` among the `context`."""
    common = page.admin_site.each_context(request) | {
        "opts": page.opts,
        "checkbox": ACTION_CHECKBOX_NAME,
        "media": page.media,
    }
    return TemplateResponse(request, template, common | context)
