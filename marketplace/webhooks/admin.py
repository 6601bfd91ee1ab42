"""Webhooks in the admin: curators see whether they arrive and can delete them, but see no secret."""

from django.contrib import admin

from latentmas.admin_pages import UneditableAdmin
from marketplace.webhooks.models import Webhook


@admin.register(Webhook)
class WebhookAdmin(UneditableAdmin):
    exclude = ("secret", "former_secret")
    list_display = ("id", "owner", "url", "enabled", "position", "failures", "last_error", "delivered_at")
    list_filter = ("enabled",)
    list_select_related = ("owner",)
    search_fields = ("id", "url", "owner__username")
