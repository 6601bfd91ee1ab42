"""Start a job: insert its row, and wake the worker thread after the commit."""

from datetime import timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from latentmas.jobs import background
from latentmas.jobs.handlers import Json, handler_of
from latentmas.jobs.models import OPEN, Job
from latentmas.protocol.errors import Conflict

KEPT_FOR = timedelta(days=30)  # finished jobs; what they made is kept elsewhere


def start(kind: str, *, arguments: Json, requested_by: str) -> Job:
    """Return a new job, or the requester's open one of the same kind and arguments.

    Raises Conflict where the requester has too many open jobs, LookupError for a kind without a handler.
    """
    handler_of(kind)
    now = timezone.now()
    with transaction.atomic():
        Job.objects.filter(finished_at__lt=now - KEPT_FOR).delete()
        mine = Job.objects.filter(requested_by=requested_by, state__in=OPEN)
        job = next((each for each in mine.filter(kind=kind) if each.arguments == arguments), None)
        if job is None:
            if mine.count() >= settings.JOBS_OPEN:
                raise Conflict(
                    f"you have {settings.JOBS_OPEN} open jobs, the limit", resolution="Wait until one is finished."
                )
            job = Job.objects.create(
                id=uuid4(), kind=kind, arguments=arguments, requested_by=requested_by, created_at=now
            )
        transaction.on_commit(background.wake)
    return job
