"""What the operator can configure of reputation: how scores come about, and which bonuses there are."""

from marketplace.configurations.configurable import Configurable
from marketplace.reputation import configuration, incentives
from marketplace.reputation.bonus_events import BonusesConfigured
from marketplace.reputation.events import CreditConfigured

CREDIT = Configurable(
    "credit",
    "the credit configuration",
    configuration.CreditConfiguration(),
    CreditConfigured,
    configuration.BOUNDS,
    configuration.check_together,
)
INCENTIVES = Configurable(
    "bonuses",
    "the bonus configuration",
    incentives.Incentives(),
    BonusesConfigured,
    incentives.BOUNDS,
    incentives.check_together,
)
