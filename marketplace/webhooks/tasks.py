"""The webhooks' entry in the schedule."""

from django.db.models import Q
from django.utils import timezone

from latentmas.celery import app
from latentmas.events.models import Event
from latentmas.events.store import head_position
from latentmas.jobs.commands import start
from marketplace.webhooks.jobs import DELIVER
from marketplace.webhooks.models import Webhook


@app.task(name="marketplace.webhooks.deliver")
def deliver() -> None:
    """Start a job for every webhook for which the log has something new, or whose next attempt is due."""
    head = head_position()
    due = Q(next_attempt_at=None) | Q(next_attempt_at__lte=timezone.now())
    waiting = Webhook.objects.filter(due, enabled=True, owner__is_active=True, position__lt=head)
    for webhook in waiting.iterator():
        if Event.objects.filter(position__gt=webhook.position, position__lte=head, type__in=webhook.types).exists():
            # Under its own name: a webhook's job is neither the factory's, which are public, nor its owner's.
            start(DELIVER, arguments={"webhook": webhook.id}, requested_by=f"webhook:{webhook.id}")
        else:
            Webhook.objects.filter(id=webhook.id, position=webhook.position).update(position=head)
