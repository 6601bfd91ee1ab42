"""Which events of reputation the public may know of: reviews, and by which figures things are decided.

Bonuses are paid into wallets, and concern their owners.
"""

from latentmas.events.changes import everybody_may_know
from marketplace.reputation import review_events
from marketplace.reputation.bonus_events import BonusesConfigured
from marketplace.reputation.events import CreditConfigured

everybody_may_know(
    CreditConfigured,
    BonusesConfigured,
    review_events.ReviewWritten,
    review_events.ReviewChanged,
    review_events.ReviewAnswered,
    review_events.ReviewRemoved,
    review_events.ReviewTextsErased,
)
