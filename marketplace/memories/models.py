"""KV-caches that an account stores: an ordinary table, not a projection, because private data must be erasable."""

from django.conf import settings
from django.db import models

MAX_DIGEST = 71


class Kind(models.TextChoices):
    RAW = "raw"  # a raw KV snapshot
    KVZ = "kvz"  # a compressed one


class StoredMemory(models.Model):
    """The KV-cache of one context in one model; its file is a blob. Only the owner sees it."""

    id = models.CharField(max_length=32, primary_key=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memories")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    model = models.CharField(max_length=100, help_text="Registry name.")
    weights = models.CharField(max_length=MAX_DIGEST, null=True)  # noqa: DJ001 - null is "not said"
    context = models.CharField(max_length=MAX_DIGEST, null=True)  # noqa: DJ001
    profile = models.CharField(max_length=MAX_DIGEST, null=True)  # noqa: DJ001 - the codec profile of a .kvz file
    tokens = models.PositiveIntegerField(help_text="Tokens that it holds.")
    next_position = models.PositiveIntegerField(help_text="Tokens of the context, those that were dropped too.")
    width = models.PositiveIntegerField(help_text="Numbers in one token's vector.")
    size = models.BigIntegerField(help_text="Bytes of the file.")
    digest = models.CharField(max_length=MAX_DIGEST)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("-created_at", "id")
        verbose_name_plural = "stored memories"
        constraints = [models.UniqueConstraint(fields=("owner", "digest"), name="memory_once")]
        # Deleting asks whether somebody else keeps the same file.
        indexes = [models.Index("digest", name="memory_file")]

    def __str__(self) -> str:
        return f"{self.model}, {self.tokens} tokens ({self.id})"
