"""The idempotency keys' entry in the schedule."""

from datetime import timedelta

from django.utils import timezone

from latentmas.celery import app
from latentmas.idempotency.models import IdempotencyKey

KEPT_FOR = timedelta(days=1)


@app.task(name="latentmas.idempotency.delete_old")
def delete_old() -> None:
    """Forget the keys of more than a day ago."""
    IdempotencyKey.objects.filter(claimed_at__lt=timezone.now() - KEPT_FOR).delete()
