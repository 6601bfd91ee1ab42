"""The sales' entry in the schedule."""

from django.utils import timezone

from latentmas.celery import app
from latentmas.events.types import Metadata
from marketplace.sales import reconciling


@app.task(name="marketplace.sales.reconcile")
def reconcile() -> None:
    """Void the purchases whose hold has run out, as the command `reconcile` does."""
    reconciling.reconcile(at=timezone.now(), metadata=Metadata(actor="task:reconcile"))
