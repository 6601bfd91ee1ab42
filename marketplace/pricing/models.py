"""The projection of the price configuration's versions."""

from django.db import models


class ConfigurationVersion(models.Model):
    """One version of the price configuration, written only by projectors.py."""

    version = models.PositiveIntegerField(primary_key=True)
    settings = models.JSONField()
    actor = models.CharField(max_length=100, help_text="Who configured it.")
    at = models.DateTimeField()

    class Meta:
        ordering = ("-version",)
        verbose_name = "price configuration"

    def __str__(self) -> str:
        return f"version {self.version}"
