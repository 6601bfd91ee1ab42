"""Events of the price configuration, in the one stream `pricing/config`."""

from dataclasses import dataclass

from latentmas.events.types import event
from marketplace.pricing.configuration import Configuration


@event("pricing.configured")
@dataclass(frozen=True, slots=True)
class PricingConfigured:
    """The configuration of later quotes, whole; the version of this event is the configuration's."""

    configuration: Configuration
