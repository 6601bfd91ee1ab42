"""Events of how scores come about, in the one stream `credit/config`. A score itself is computed, never recorded."""

from dataclasses import dataclass

from latentmas.events.types import event
from marketplace.reputation.configuration import CreditConfiguration


@event("credit.configured")
@dataclass(frozen=True, slots=True)
class CreditConfigured:
    """The configuration of scores from now on, whole; the version of this event is the configuration's."""

    configuration: CreditConfiguration
