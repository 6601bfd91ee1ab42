"""Fingerprints of memories: an ordinary table, which can be erased and made anew; no event knows of it."""

from django.db import models


class StoredFingerprint(models.Model):
    """The fingerprint of one version of an artefact, made with the key that `key_id` names."""

    artefact_id = models.CharField(max_length=36)
    version = models.CharField(max_length=32)
    key_id = models.CharField(max_length=16)
    tokens = models.BinaryField(null=True, help_text="Signature by token ids.")
    rows = models.BinaryField(null=True, help_text="Signature by cached values.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("artefact_id", "version"), name="fingerprint_once")]

    def __str__(self) -> str:
        return f"{self.artefact_id}/{self.version}"


class FingerprintBand(models.Model):
    """A number that a fingerprint is looked up by."""

    fingerprint = models.ForeignKey(StoredFingerprint, on_delete=models.CASCADE, db_index=False, related_name="bands")
    value = models.BigIntegerField()

    class Meta:
        indexes = [
            models.Index("value", "fingerprint", name="fingerprint_band"),  # who shares a band
            models.Index("fingerprint", name="fingerprint_bands"),  # to forget one
        ]

    def __str__(self) -> str:
        return f"{self.fingerprint_id}: {self.value}"
