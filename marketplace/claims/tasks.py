"""The claims' entry in the schedule."""

from django.utils import timezone

from latentmas.celery import app
from latentmas.events.types import Metadata
from marketplace.claims import measuring


@app.task(name="marketplace.claims.measure")
def measure() -> None:
    """Have purchases measured on the texts that their buyers have named."""
    measuring.keep_up(at=timezone.now(), metadata=Metadata(actor="task:claims"))
