"""What the schedule does for jobs: sends again what was lost, ends what is overdue, deletes what is old."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from latentmas.jobs import parts, sending
from latentmas.jobs.commands import end_open
from latentmas.jobs.models import OPEN, STALE_AFTER, Job, State
from latentmas.jobs.working import overdue

RESEND_AFTER = timedelta(minutes=5)  # a message that waits is not lost; a second one costs a worker one query
KEPT_FOR = timedelta(days=30)  # ended jobs; what they made is kept elsewhere
BATCH = 1000  # messages in one go


def send_lost_again() -> int:
    """Send the jobs whose message or worker was lost, and return how many. Raises QueueUnavailable."""
    now = timezone.now()
    for waiting in Job.objects.filter(state=State.WAITING):
        if not waiting.parts.filter(state__in=OPEN).exists():
            with transaction.atomic():
                parts.resume(waiting.id)
    unsent = Q(sent_at=None, created_at__lt=now - STALE_AFTER) | Q(sent_at__lt=now - RESEND_AFTER)
    dead = Q(state=State.RUNNING, heartbeat__lt=now - STALE_AFTER) & (
        Q(sent_at=None) | Q(sent_at__lt=now - STALE_AFTER)
    )
    lost = list(Job.objects.filter(dead | Q(unsent, state=State.QUEUED)).order_by("created_at", "id")[:BATCH])
    for job in lost:
        sending.send(job)
    return len(lost)


def send_put_back() -> None:
    """Send the jobs that a worker put back when it stopped, and those whose message has not gone out yet."""
    for job in Job.objects.filter(state=State.QUEUED, sent_at=None).order_by("created_at", "id")[:BATCH]:
        sending.send_or_leave(job.id)


def end_overdue() -> int:
    """Fail the open jobs whose deadline has passed, and return how many; their parts are cancelled."""
    late = Job.objects.filter(state__in=OPEN, deadline__lt=timezone.now(), parent=None).values_list("id", flat=True)
    ended = 0
    for identifier in list(late):
        with transaction.atomic():
            ended += end_open(identifier, State.FAILED, problem=overdue())
    return ended


def delete_old() -> int:
    """Delete the jobs that ended a month ago, with their parts, and return how many rows that were."""
    return Job.objects.filter(finished_at__lt=timezone.now() - KEPT_FOR, parent=None).delete()[0]
