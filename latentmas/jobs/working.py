"""Run the jobs: claim one by a conditional UPDATE, run it under a heartbeat, store its result or problem.

1. Take the oldest job that waits or whose worker has died; the UPDATE names the state it was seen in, so of several
   workers one gets it.
2. Run its handler. A thread keeps the heartbeat going; progress is written at most once a second.
3. Write result or problem where the claim still holds: a worker that was taken for dead meanwhile changes nothing.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from django.db import Error, connection
from django.db.models import F, Q
from django.utils import timezone

from latentmas.jobs.handlers import Json, Run, handler_of
from latentmas.jobs.models import STALE_AFTER, Job, State
from latentmas.protocol.errors import LatentMASError
from latentmas.rest.problems import problem, problem_for

HEARTBEAT_SECONDS = 10.0
PROGRESS_SECONDS = 1.0
MAX_ATTEMPTS = 3  # a job that has killed so many workers is not tried again
FAULT = "something went wrong on this side; it has been logged"
DIED = f"the work broke off {MAX_ATTEMPTS} times without an answer"

logger = logging.getLogger(__name__)
Report = Callable[[Job], None]


class Stopped(BaseException):
    """The worker is to stop; the job goes back to the queue. No `except Exception` of a handler may swallow it."""


class ClaimLost(BaseException):
    """Another worker has taken the job: this one was taken to be dead."""


def work(*, report: Report | None = None, stop: threading.Event | None = None) -> Iterator[Job]:
    """Run jobs until none waits, and yield each as it ended; `report` is called when one begins and at each progress.

    Raises Stopped where `stop` is set while a job runs, and passes on KeyboardInterrupt: the job waits again then.
    """
    while not (stop is not None and stop.is_set()) and (job := claim()) is not None:
        yield run(job, report=report, stop=stop)


def claim() -> Job | None:
    """Return the next job, claimed for the caller; None where none waits."""
    while True:
        now = timezone.now()
        dead = Q(state=State.RUNNING, heartbeat__lt=now - STALE_AFTER)
        seen = Job.objects.filter(Q(state=State.QUEUED) | dead).order_by("created_at", "id").first()
        if seen is None:
            return None
        taken = Job.objects.filter(id=seen.id, state=seen.state, claim=seen.claim, heartbeat=seen.heartbeat).update(
            state=State.RUNNING,
            claim=uuid4(),
            attempts=F("attempts") + 1,
            started_at=now,
            heartbeat=now,
            stage="",
            done=0,
            total=0,
        )
        if taken:
            seen.refresh_from_db()
            return seen


def run(job: Job, *, report: Report | None = None, stop: threading.Event | None = None) -> Job:
    """Run a claimed job and return it as it ended. Raises Stopped or KeyboardInterrupt, with the job in the queue."""
    assert job.claim is not None
    if job.attempts > MAX_ATTEMPTS:
        return _end(job, State.FAILED, problem=_fault(DIED))
    progress = _Reporter(job, report=report, stop=stop)
    if report is not None:
        report(job)
    try:
        with _heartbeat(job.id, job.claim):
            handle = handler_of(job.kind)
            result = handle(Run(job.arguments, job.requested_by, progress.stage))
    except ClaimLost:
        logger.warning("the job %s was taken over by another worker", job)
        job.refresh_from_db()
        return job
    except LatentMASError as error:
        return _end(job, State.FAILED, problem=json.loads(problem_for(error).content))
    except Exception:
        logger.exception("the job %s failed", job)
        return _end(job, State.FAILED, problem=_fault(FAULT))
    except BaseException:  # the worker stops, not the job
        put_back(job.id, job.claim)
        raise
    return _end(job, State.DONE, result=result)


def put_back(identifier: UUID, claim: UUID) -> None:
    """Let a claimed job wait again, as if it had not been begun."""
    Job.objects.filter(id=identifier, claim=claim, state=State.RUNNING).update(
        state=State.QUEUED, claim=None, heartbeat=None, started_at=None, attempts=F("attempts") - 1
    )


def _end(job: Job, state: State, *, result: Json | None = None, problem: Json | None = None) -> Job:
    Job.objects.filter(id=job.id, claim=job.claim, state=State.RUNNING).update(
        state=state, result=result, problem=problem, finished_at=timezone.now(), heartbeat=None, claim=None
    )
    job.refresh_from_db()
    return job


def _fault(detail: str) -> Json:
    document: Json = json.loads(problem(500, detail=detail).content)
    return document


class _Reporter:
    """Writes the job's progress, at the beginning of every stage and at most once a second."""

    def __init__(self, job: Job, *, report: Report | None, stop: threading.Event | None) -> None:
        self._job, self._report, self._stop = job, report, stop
        self._written = 0.0

    def stage(self, name: str) -> Callable[[int, int], None]:
        self._say(name, 0, 0, at_once=True)
        return lambda done, total: self._say(name, done, total, at_once=done == total)

    def _say(self, stage: str, done: int, total: int, *, at_once: bool) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Stopped
        now = time.monotonic()
        if not at_once and now - self._written < PROGRESS_SECONDS:
            return
        self._written = now
        job = self._job
        job.stage, job.done, job.total = stage[:200], done, total
        if not Job.objects.filter(id=job.id, claim=job.claim).update(stage=job.stage, done=done, total=total):
            raise ClaimLost
        if self._report is not None:
            self._report(job)


@contextmanager
def _heartbeat(identifier: UUID, claim: UUID) -> Iterator[None]:
    """Renew the job's heartbeat every ten seconds from a thread, however long a single step of the handler takes."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            try:
                Job.objects.filter(id=identifier, claim=claim).update(heartbeat=timezone.now())
            except Error:
                logger.warning("the heartbeat of the job %s could not be written", identifier, exc_info=True)
            finally:
                connection.close()

    thread = threading.Thread(target=beat, name=f"heartbeat-{identifier}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
