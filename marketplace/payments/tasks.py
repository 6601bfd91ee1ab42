"""The payments' entry in the schedule."""

from django.utils import timezone

from latentmas.celery import app
from latentmas.jobs.commands import start
from marketplace.payments.jobs import ASK
from marketplace.payments.reconciling import waiting


@app.task(name="marketplace.payments.reconcile")
def reconcile() -> None:
    """Start a job for every top-up that is open; under its own name, so that each has one."""
    for row, _ in waiting(at=timezone.now()):
        start(ASK, arguments={"top_up": row.id}, requested_by=f"top-up:{row.id}")
