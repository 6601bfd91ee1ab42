"""Change the price configuration, and read the one in force or an earlier one."""

from marketplace.configurations.configurable import Configurable
from marketplace.pricing.configuration import BOUNDS, Configuration
from marketplace.pricing.events import PricingConfigured

PRICING = Configurable("pricing", "the price configuration", Configuration(), PricingConfigured, BOUNDS)
configure, in_force, of_version = PRICING.configure, PRICING.in_force, PRICING.of_version
