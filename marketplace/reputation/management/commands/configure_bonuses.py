"""Change which bonuses there are, or show what is in force."""

from marketplace.configurations.command import ConfigureCommand
from marketplace.reputation.configurations import INCENTIVES


class Command(ConfigureCommand):
    help = "Set which bonuses are granted; without a setting, show what is in force."
    configurable = INCENTIVES
    actor = "command:configure_bonuses"
