"""Change how credit scores come about, or show what is in force."""

from marketplace.configurations.command import ConfigureCommand
from marketplace.reputation.configurations import CREDIT


class Command(ConfigureCommand):
    help = "Set what credit scores depend on; without a setting, show what is in force."
    configurable = CREDIT
    actor = "command:configure_credit"
