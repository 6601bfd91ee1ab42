"""The webhooks' entry in the schedule."""

from django.db.models import Q
from django.utils import timezone

from latentmas.celery import app
from latentmas.events.models import Event
from latentmas.events.store import head_position
from latentmas.jobs.commands import start
from marketplace.webhooks.jobs import DELIVER
from marketplace.webhooks.models import ROTATION, Webhook
from marketplace.webhooks.signing import Unreadable, resealed


@app.task(name="marketplace.webhooks.reseal")
def reseal() -> None:
    """Encrypt the secrets under today's SECRET_KEY, so that its fallbacks can be removed; forget former ones."""
    for webhook in Webhook.objects.iterator():
        try:
            fresh = resealed(webhook.secret)
        except Unreadable:
            continue  # its next delivery disables it
        # Not if the owner has rotated it meanwhile.
        Webhook.objects.filter(id=webhook.id, secret=webhook.secret).update(secret=fresh)
    Webhook.objects.filter(rotated_at__lte=timezone.now() - ROTATION).update(former_secret=None)


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
