"""Change the price configuration, or show the one in force."""

from marketplace.configurations.command import ConfigureCommand
from marketplace.pricing.commands import PRICING


class Command(ConfigureCommand):
    help = "Set what the prices of later quotes depend on; without a setting, show what is in force."
    configurable = PRICING
    actor = "command:configure_pricing"
