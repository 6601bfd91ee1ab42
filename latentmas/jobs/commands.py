"""Start a job, or cancel one."""

import functools as ft
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from latentmas.jobs import sending
from latentmas.jobs.handlers import Json, kind_named
from latentmas.jobs.models import OPEN, Job, State
from latentmas.jobs.queries import FACTORY
from latentmas.protocol.errors import Conflict, QueueUnavailable


def start(kind: str, *, arguments: Json, requested_by: str, patient: bool = False) -> Job:
    """Return a new job, or the requester's open one of the same kind and arguments.

    Raises Conflict where the requester has too many open jobs, QueueUnavailable at the commit where no broker answers
    (then there is no job), LookupError for a kind without a handler. A `patient` job, which belongs to what the
    transaction records, stays where no broker answers; the schedule sends it later.
    """
    deadline = kind_named(kind).deadline
    now = timezone.now()
    with transaction.atomic():
        mine = Job.objects.filter(requested_by=requested_by, state__in=OPEN, parent=None)
        job = next((each for each in mine.filter(kind=kind) if each.arguments == arguments), None)
        if job is not None:
            return job
        if requested_by != FACTORY and mine.count() >= settings.JOBS_OPEN:
            raise Conflict(
                f"you have {settings.JOBS_OPEN} open jobs, the limit", resolution="Wait until one is finished."
            )
        job = Job.objects.create(
            id=uuid4(),
            kind=kind,
            arguments=arguments,
            requested_by=requested_by,
            created_at=now,
            deadline=now + deadline,
        )
        send = ft.partial(sending.send_or_leave, job.id) if patient else ft.partial(_send_or_take_back, job)
        transaction.on_commit(send)
    return job


def cancel(job: Job) -> Job:
    """Cancel an open job with its parts; what a worker still does for it comes to nothing. Raises Conflict."""
    with transaction.atomic():
        if not end_open(job.id, State.CANCELLED):
            job.refresh_from_db()
            raise Conflict(f"the job is {job.state} already", resolution="Only an open job can be cancelled.")
    job.refresh_from_db()
    return job


def end_open(identifier: UUID, state: State, *, problem: Json | None = None) -> bool:
    """End a job that is still open, and cancel its open parts; return whether it was open."""
    ended = {"finished_at": timezone.now(), "claim": None, "heartbeat": None}
    was_open = Job.objects.filter(id=identifier, state__in=OPEN).update(state=state, problem=problem, **ended)
    if not was_open:
        return False
    for part in Job.objects.filter(parent=identifier, state__in=OPEN).order_by("id").values_list("id", flat=True):
        end_open(part, State.CANCELLED)
    return True


def _send_or_take_back(job: Job) -> None:
    try:
        sending.send(job)
    except QueueUnavailable:
        Job.objects.filter(id=job.id, state=State.QUEUED).delete()
        raise
