"""The reputation's entry in the schedule."""

from django.utils import timezone

from latentmas.celery import app
from latentmas.events.types import Metadata
from marketplace.reputation import bonuses
from marketplace.reputation.periods import last_ended


@app.task(name="marketplace.reputation.grant_bonuses")
def grant_bonuses() -> None:
    """Grant the bonuses of the last month, as the command `grant_bonuses` does; nothing where none is configured."""
    now = timezone.now()
    bonuses.grant_bonuses(last_ended(now), at=now, metadata=Metadata(actor="task:grant_bonuses"))
