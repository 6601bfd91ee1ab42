"""Parts of a job: jobs of their own, for whichever worker is free. When all have ended, the job goes on."""

import functools as ft
import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from latentmas.jobs import sending
from latentmas.jobs.handlers import Ended, Json, kind_named
from latentmas.jobs.models import OPEN, Job, State
from latentmas.protocol.canonical import canonical


class Suspended(BaseException):
    """The job waits for its parts; its worker is free. No `except Exception` of a handler may swallow it."""


class ClaimLost(BaseException):
    """The job is no longer this worker's: another one has taken it, or it was cancelled."""


class Parts:
    """The parts that a job asks for. A call is known by its kind and arguments, so that a repeated run finds them."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def each(self, kind: str, arguments: Sequence[Json]) -> list[Ended]:
        """Return how the parts have ended, in order. Raises Suspended where they have not, after starting them."""
        kind_named(kind)
        call = hashlib.sha256(canonical([kind, *arguments])).hexdigest()[:16] + "."
        if not arguments:
            return []
        with transaction.atomic():
            # Locked: a part that ends meanwhile must find the job waiting for it, or be found ended here.
            job = Job.objects.select_for_update().filter(id=self._job.id, claim=self._job.claim).first()
            if job is None:
                raise ClaimLost
            parts = list(job.parts.filter(part__startswith=call).order_by("part"))
            if not parts:
                parts = _started(job, kind, arguments, call=call, at=timezone.now())
            still = sum(part.is_open for part in parts)
            if not still:
                return [Ended(part.result, part.problem) for part in parts]
            Job.objects.filter(id=job.id).update(
                state=State.WAITING,
                claim=None,
                heartbeat=None,
                attempts=F("attempts") - 1,
                done=len(parts) - still,
                total=len(parts),
            )
        raise Suspended


def lock_whole(part: Job) -> None:
    """Lock the job that a part belongs to, before the part itself: everybody locks in this order."""
    assert part.parent_id is not None
    Job.objects.select_for_update().filter(id=part.parent_id).first()


def note_end(part: Job) -> None:
    """Count a part that has ended; where it was the last, its job waits for a worker again."""
    assert part.parent_id is not None
    siblings = Job.objects.filter(parent=part.parent_id, part__startswith=part.part.split(".")[0] + ".")
    still = siblings.filter(state__in=OPEN).count()
    waiting = Job.objects.filter(id=part.parent_id, state=State.WAITING)
    if waiting.update(done=siblings.count() - still) and not still:
        resume(part.parent_id)


def resume(identifier: UUID) -> None:
    """Let a job whose parts have all ended go on."""
    if Job.objects.filter(id=identifier, state=State.WAITING).update(state=State.QUEUED):
        transaction.on_commit(ft.partial(sending.send_or_leave, identifier))


def _started(job: Job, kind: str, arguments: Sequence[Json], *, call: str, at: datetime) -> list[Job]:
    parts = [
        Job(
            id=uuid4(),
            kind=kind,
            arguments=each,
            requested_by=job.requested_by,
            parent=job,
            part=f"{call}{place:05}",
            created_at=at,
            deadline=job.deadline,
        )
        for place, each in enumerate(arguments)
    ]
    Job.objects.bulk_create(parts)
    for part in parts:
        transaction.on_commit(ft.partial(sending.send_or_leave, part.id))
    return parts
