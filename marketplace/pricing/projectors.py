"""Project the versions of the price configuration; the only writer of that table."""

from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.types import Envelope
from marketplace.configurations.rows import insert_versions
from marketplace.pricing.events import PricingConfigured
from marketplace.pricing.models import ConfigurationVersion


@projector(writes=[ConfigurationVersion], handles=[PricingConfigured])
def project_configuration(events: Sequence[Envelope]) -> None:
    insert_versions(ConfigurationVersion, events)
