"""Reads of jobs. Only its requester sees a job; what the factory has under way, everybody."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from latentmas.jobs.handlers import kind_named
from latentmas.jobs.models import OPEN, Job
from latentmas.protocol.errors import NotFound

FACTORY = "factory"  # who requests what the schedule and the operator's commands start
LEAST_DONE = 0.02  # of a job; before that, how long it takes is not known


def get_job(identifier: str, *, requested_by: str) -> Job:
    """Return a job of the requester's own. Raises NotFound."""
    try:
        key = UUID(identifier)
    except ValueError:
        key = None
    row = None if key is None else jobs_of(requested_by).filter(id=key).first()
    if row is None:
        raise NotFound(
            f"you have no job {identifier!r}",
            resolution="Ask with the token that started it; finished jobs are kept for 30 days.",
        )
    return row


def jobs_of(requested_by: str) -> QuerySet[Job]:
    """Return what somebody has started, the newest first; not the parts that a job was cut into."""
    return Job.objects.filter(requested_by=requested_by, parent=None)


def under_way() -> QuerySet[Job]:
    """Return the factory's open jobs and the parts of them that have begun, but not these parts' own parts."""
    mine = Job.objects.filter(requested_by=FACTORY, state__in=OPEN).exclude(parent__parent__isnull=False)
    return mine.filter(Q(parent=None) | Q(started_at__isnull=False)).order_by("created_at", "part", "id")


def title_of(job: Job) -> str:
    return kind_named(job.kind).title(job.arguments)


def seconds_left(job: Job, *, at: datetime) -> int | None:
    """Return about how long a job that has begun will still take, or None where that is not known.

    It is extrapolated from the time that the job has taken and the usual shares of its stages.
    """
    if job.started_at is None or job.state not in OPEN:
        return None
    done = fraction_done(job)
    if done < LEAST_DONE:
        return None
    return round((at - job.started_at).total_seconds() * (1 - done) / done)


def fraction_done(job: Job) -> float:
    """Return how much of its work a job has done, from 0 to 1."""
    shares, name = kind_named(job.kind).shares, job.stage.split(" ")[0]
    within = job.done / job.total if job.total else 0.0
    if not shares:
        return within
    before = 0.0
    for stage, share in shares.items():
        if stage == name:
            return before + share * within
        before += share
    return 0.0
