"""Events of bonuses: their configuration (`bonuses/config`), each bonus, and what fills the account they are paid from.

`ledger.posted` stands before each of these that moves money, in the same stream.
"""

from dataclasses import dataclass

from latentmas.events.types import event
from marketplace.reputation.incentives import BonusKind, Incentives
from marketplace.texts.free_text import FreeText


@event("bonuses.configured")
@dataclass(frozen=True, slots=True)
class BonusesConfigured:
    """The incentives from now on, whole; the version of this event is the configuration's."""

    configuration: Incentives


@event("bonus.granted")
@dataclass(frozen=True, slots=True)
class BonusGranted:
    """An agent has got a part of the platform's share. One stream each: `bonus/<agent>-<period>-<kind>-<currency>`."""

    agent: str
    period: str  # the month, YYYY-MM
    kind: BonusKind
    currency: str
    basis: int  # the platform's share that it is a part of, in minor units
    percent: int
    amount: int  # minor units, rounded down
    configuration: int  # the version of the incentives


@event("bonus.taken_back")
@dataclass(frozen=True, slots=True)
class BonusTakenBack:
    """Sales that the bonus rests on were refunded since: what it is too high by is back in the fund."""

    basis: int  # what is left of it
    amount: int


@event("bonus_fund.filled")
@dataclass(frozen=True, slots=True)
class BonusFundFilled:
    """The operator has set a part of the platform's money aside for bonuses. Stream `bonus-fund/<currency>`."""

    currency: str
    amount: int
    reason: FreeText
