"""Webhooks: an ordinary table. Each is a follower of the log with a position of its own."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models

from latentmas.outbound import MAX_URL

ROTATION = timedelta(days=1)  # how long messages carry the former secret's signature too
# What a webhook is like whose last message was taken, or that was just set by its owner.
HEALTHY: dict[str, Any] = {
    "failures": 0,
    "failing_since": None,
    "next_attempt_at": None,
    "last_error": "",
    "disabled_because": "",
}


class Webhook(models.Model):
    """A subscription of a login's. It is sent the events after `position`, one after the other."""

    id = models.CharField(max_length=32, primary_key=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks")
    agent_id = models.CharField(  # noqa: DJ001 - None is "all of the login's"
        max_length=36, null=True, help_text="The agent whose private events it may be sent."
    )
    url = models.CharField(max_length=MAX_URL)
    types = models.JSONField(help_text="Names of event types.")
    secret = models.TextField(help_text="Encrypted.")
    former_secret = models.TextField(null=True, help_text="Encrypted.")  # noqa: DJ001
    rotated_at = models.DateTimeField(null=True)
    enabled = models.BooleanField(default=True)
    disabled_because = models.CharField(max_length=200, blank=True)
    position = models.BigIntegerField(help_text="Up to which it has been sent everything.")
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    failing_since = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)
    delivered_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1, help_text="Of what its owner has set; its ETag.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("created_at", "id")

    def __str__(self) -> str:
        return self.id
