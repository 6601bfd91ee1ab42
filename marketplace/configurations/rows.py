"""The projection of a configuration's versions: each app has a table of its own, and one line that projects it."""

from collections.abc import Sequence
from dataclasses import asdict

from django.db import models

from latentmas.events.types import Envelope


class ConfigurationRow(models.Model):
    """One version of a configuration, written only by the projectors of its app."""

    version = models.PositiveIntegerField(primary_key=True)
    settings = models.JSONField()
    actor = models.CharField(max_length=100, help_text="Who configured it.")
    at = models.DateTimeField()

    class Meta:
        abstract = True
        ordering = ("-version",)

    def __str__(self) -> str:
        return f"version {self.version}"


def insert_versions(table: type[ConfigurationRow], events: Sequence[Envelope]) -> None:
    """Insert a row for each version."""
    table._default_manager.bulk_create(
        table(
            version=event.version,
            settings=asdict(event.data.configuration),
            actor=event.metadata.actor,
            at=event.recorded_at,
        )
        for event in events
    )
