"""The job that asks a gateway about one top-up. There is at most one open for each."""

from datetime import timedelta

from latentmas.events.types import Metadata
from latentmas.jobs.handlers import Json, Queue, Run, handler
from marketplace.payments.gateways.offered import gateway_named
from marketplace.payments.models import TopUp
from marketplace.payments.reconciling import reconcile

ASK = "payments.ask"


@handler(ASK, queue=Queue.LIGHT, deadline=timedelta(minutes=10))
def ask(run: Run) -> Json:
    """Ask, and record the answer; a job that runs twice asks twice and records it once. Raises LatentMASError."""
    row = TopUp.objects.get(id=run.arguments["top_up"])
    status = reconcile(row, gateway_named(row.gateway), metadata=Metadata(actor=run.requested_by))
    return {"top_up": row.id, "status": status}
