"""The log's Merkle tree, what was signed of it, and the projection of the signing keys.

Only `SigningKey` is a projection. Tiles can be made again from the leaf hashes; checkpoints and cosignatures cannot.
"""

from django.db import models

from latentmas.transparency.events import Purpose, RevocationReason


class Tile(models.Model):
    """Hashes of one level of the tree, 256 of them or, at its right end, as many as there are so far."""

    pk = models.CompositePrimaryKey("level", "index")
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField()


class Checkpoint(models.Model):
    size = models.BigIntegerField(primary_key=True, help_text="Events under this checkpoint.")
    root = models.BinaryField(max_length=32)
    note = models.TextField(help_text="Signed by the log, without cosignatures.")
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ("-size",)


class Cosignature(models.Model):
    """The newest signature of one witness under one checkpoint."""

    checkpoint = models.ForeignKey(Checkpoint, models.CASCADE, related_name="cosignatures")
    witness = models.CharField(max_length=200)
    key_id = models.CharField(max_length=8)
    signed_at = models.BigIntegerField(help_text="By the witness's clock, in POSIX seconds.")
    line = models.TextField()

    class Meta:
        ordering = ("witness", "key_id")
        constraints = [
            models.UniqueConstraint(fields=["checkpoint", "witness", "key_id"], name="cosignature_one_a_key")
        ]


class SigningKey(models.Model):
    key_id = models.CharField(max_length=64, primary_key=True)
    purpose = models.CharField(max_length=20, choices=[(each.value, each.value) for each in Purpose])
    name = models.CharField(max_length=200)
    public_key = models.CharField(max_length=44, help_text="Ed25519, in base64.")
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revocation_reason = models.CharField(  # noqa: DJ001 - null is "not revoked"
        max_length=20, null=True, choices=[(each.value, each.value) for each in RevocationReason]
    )

    class Meta:
        ordering = ("created_at", "key_id")

    @property
    def state(self) -> str:
        """Return `active`, `retired` or `revoked`."""
        return "revoked" if self.revoked_at else "retired" if self.retired_at else "active"
