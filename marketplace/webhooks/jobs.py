"""The job that sends one webhook its events. There is at most one open for each."""

from datetime import timedelta

from latentmas.jobs.handlers import Json, Queue, Run, handler
from marketplace.webhooks.delivery import deliver
from marketplace.webhooks.models import Webhook

DELIVER = "webhook.deliver"


@handler(DELIVER, queue=Queue.LIGHT, deadline=timedelta(hours=1))
def send(run: Run) -> Json:
    """Send the webhook's next page; the schedule starts another job for what is left."""
    webhook = Webhook.objects.select_related("owner").filter(id=run.arguments["webhook"], enabled=True).first()
    return {"taken": 0 if webhook is None or not webhook.owner.is_active else deliver(webhook)}
