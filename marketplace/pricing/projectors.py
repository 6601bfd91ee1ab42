"""Project the versions of the price configuration; the only writer of that table."""

from collections.abc import Sequence
from dataclasses import asdict

from latentmas.events.projections import projector
from latentmas.events.types import Envelope
from marketplace.pricing.events import PricingConfigured
from marketplace.pricing.models import ConfigurationVersion


@projector(writes=[ConfigurationVersion], handles=[PricingConfigured])
def project_configuration(events: Sequence[Envelope]) -> None:
    """Insert a row for each version."""
    ConfigurationVersion.objects.bulk_create(
        ConfigurationVersion(
            version=event.version,
            settings=asdict(event.data.configuration),
            actor=event.metadata.actor,
            at=event.recorded_at,
        )
        for event in events
    )
