"""Projection of the rotations of private texts; written only by projectors.py."""

from django.db import models


class Rotation(models.Model):
    """A rotation of the certifier's private texts; `file_digest` is null while they are private."""

    number = models.PositiveIntegerField(primary_key=True)
    opened_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)
    file_digest = models.CharField(max_length=71, null=True)  # noqa: DJ001
    file_size = models.BigIntegerField(null=True)

    class Meta:
        ordering = ("-number",)
