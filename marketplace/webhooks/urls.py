"""REST addresses of webhooks and of the change feed, below /api/."""

from django.urls import path

from marketplace.webhooks import api, changes_api

urlpatterns = [
    path("changes", changes_api.changes, name="changes"),
    path("webhooks", api.webhooks, name="webhooks"),
    path("webhooks/<str:webhook_id>", api.webhook, name="webhook"),
    path("webhooks/<str:webhook_id>/secret", api.secret, name="webhook-secret"),
    path("webhooks/<str:webhook_id>/replay", api.replay, name="webhook-replay"),
]
