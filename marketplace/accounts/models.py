"""API tokens: an ordinary table, not a projection, because personal data must be erasable."""

from datetime import datetime

from django.conf import settings
from django.db import models

from marketplace.accounts.mandates import Mandate, parsed

MAX_NAME = 100


class ApiToken(models.Model):
    """A key for programs, limited to some scopes. The token itself is not kept, only its SHA-256."""

    id = models.CharField(max_length=12, primary_key=True, help_text="The public part of the token.")
    name = models.CharField(max_length=MAX_NAME)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    agent_id = models.CharField(max_length=36, null=True, help_text="The agent that it acts for.")  # noqa: DJ001
    mandate_terms = models.JSONField(null=True, help_text="What it may spend; null is no limit of its own.")
    scope_names = models.JSONField(default=list)
    secret_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at", "id")
        verbose_name = "API token"
        permissions = [("certify", "May act as an independent validator"), ("curate", "May act as a curator")]

    def __str__(self) -> str:
        return f"{self.name} (lmas_{self.id}_...)"

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(self.scope_names)

    @property
    def mandate(self) -> Mandate | None:
        return None if self.mandate_terms is None else parsed(self.mandate_terms)

    def state_at(self, at: datetime) -> str:
        """Return `valid`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= at else "valid"
