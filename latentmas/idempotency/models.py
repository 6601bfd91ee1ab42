"""Idempotency keys with the answers they stand for: an ordinary table, from which old rows are deleted."""

from django.conf import settings
from django.db import models

MAX_KEY = 255


class IdempotencyKey(models.Model):
    """A key of one account. While `status` is null, the request that holds `claim` is being carried out."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=MAX_KEY)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, address and body.")
    claim = models.UUIDField()
    claimed_at = models.DateTimeField(db_index=True)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.TextField(null=True, help_text="JSON; null where the answer is not kept.")  # noqa: DJ001

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="idempotency_account_key")]

    def __str__(self) -> str:
        return self.key
