"""Tell the workers of a job: one message, which holds the job's id and nothing else."""

import logging
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from kombu.exceptions import ChannelError, OperationalError

from latentmas.celery import app
from latentmas.jobs.handlers import kind_named
from latentmas.jobs.models import Job
from latentmas.protocol.errors import QueueUnavailable

TASK = "latentmas.jobs.run"
PATIENCE: dict[str, Any] = {
    # A pooled connection may have been closed meanwhile: once more, at once.
    "retry": True,
    "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0},
    # RabbitMQ confirms what it has taken; one that is short of memory or disk does not, and lives on.
    "timeout": settings.BROKER_SECONDS,
    "confirm_timeout": settings.BROKER_SECONDS,
}

logger = logging.getLogger(__name__)


def send(job: Job) -> None:
    """Send a job to its queue. Raises QueueUnavailable where the broker does not take it."""
    queue = kind_named(job.kind).queue
    try:
        app.send_task(TASK, args=[str(job.id)], task_id=str(job.id), queue=queue.value, **PATIENCE)
    except (OperationalError, ChannelError, OSError) as error:
        raise QueueUnavailable("the message broker does not answer, so nothing can be started") from error
    Job.objects.filter(id=job.id).update(sent_at=timezone.now())


def send_or_leave(identifier: UUID) -> None:
    """Send a job that is on record in any case: where the broker does not answer, the schedule sends it later."""
    job = Job.objects.filter(id=identifier).first()
    if job is None:
        return
    try:
        send(job)
    except QueueUnavailable:
        logger.warning("the job %s could not be sent; it is sent again later", job)
