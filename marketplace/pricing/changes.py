"""Which events of prices the public may know of: every change of the configuration."""

from latentmas.events.changes import everybody_may_know
from marketplace.pricing.events import PricingConfigured

everybody_may_know(PricingConfigured)
