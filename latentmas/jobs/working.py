"""Run a job: claim its row by a conditional UPDATE, run it under a heartbeat, store its result or problem.

1. A message names a job. The UPDATE that claims it names the state it was seen in, so of several workers one gets it.
2. Its handler runs. A thread keeps the heartbeat going; progress is written at most once a second.
3. Result or problem is written where the claim still holds: a worker that was taken for dead changes nothing.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from uuid import UUID, uuid4

from django.db import Error, connection, transaction
from django.db.models import F
from django.utils import timezone

from latentmas.jobs import parts, sending
from latentmas.jobs.handlers import Json, PartFailed, Run, kind_named
from latentmas.jobs.models import HEARTBEAT_SECONDS, Job, State
from latentmas.jobs.parts import ClaimLost, Parts, Suspended
from latentmas.protocol.errors import DeadlineExceeded, LatentMASError
from latentmas.rest.problems import problem, problem_for

PROGRESS_SECONDS = 1.0
PATIENCE_SECONDS = 3.0  # for a job to notice that its worker stops
MAX_ATTEMPTS = 3  # a job that has killed so many workers is not tried again
FAULT = "something went wrong on this side; it has been logged"
DIED = f"the work broke off {MAX_ATTEMPTS} times without an answer"

logger = logging.getLogger(__name__)

_stopping = threading.Event()
_claims: dict[UUID, UUID] = {}  # of the jobs that this process runs


class Stopped(BaseException):
    """The worker is to stop; the job goes back to its queue. No `except Exception` of a handler may swallow it."""


class Overdue(BaseException):
    """The job has passed its deadline."""


def claim(identifier: UUID) -> Job | None:
    """Return the job, claimed for the caller; None where it does not wait, no longer exists, or the worker stops."""
    if _stopping.is_set():
        leave_to_the_next(identifier)
        return None
    now = timezone.now()
    seen = Job.objects.filter(id=identifier).first()
    if seen is None or not seen.waits_at(now):
        return None
    claimed = {
        "state": State.RUNNING,
        "claim": uuid4(),
        "attempts": seen.attempts + 1,
        "started_at": seen.started_at or now,
        "heartbeat": now,
    }
    as_seen = Job.objects.filter(id=seen.id, state=seen.state, claim=seen.claim, heartbeat=seen.heartbeat)
    return _with(seen, claimed) if as_seen.update(**claimed) else None


def run(job: Job) -> Job:
    """Run a claimed job and return it as it then is: ended, or waiting for its parts or for another worker."""
    assert job.claim is not None
    if job.attempts > MAX_ATTEMPTS:
        return _end(job, State.FAILED, problem=fault(DIED))
    _claims[job.id] = job.claim
    try:
        with _heartbeat(job.id, job.claim):
            progress, parts_of = _Reporter(job), Parts(job)
            result = kind_named(job.kind).handle(
                Run(job.id, job.arguments, job.requested_by, progress.stage, parts_of.each)
            )
    except Suspended:
        pass
    except ClaimLost:
        logger.warning("the job %s was taken over by another worker or cancelled", job)
    except Overdue:
        return _end(job, State.FAILED, problem=overdue())
    except PartFailed as failed:
        return _end(job, State.FAILED, problem=failed.problem)
    except LatentMASError as error:
        return _end(job, State.FAILED, problem=document(error))
    except Exception:
        logger.exception("the job %s failed", job)
        return _end(job, State.FAILED, problem=fault(FAULT))
    except BaseException as stopped:  # the worker stops, not the job
        put_back(job.id, job.claim)
        if not isinstance(stopped, Stopped):
            raise
    else:
        return _end(job, State.DONE, result=result)
    finally:
        _claims.pop(job.id, None)
    job.refresh_from_db()
    return job


def stop() -> None:
    """Let the jobs of this process go back to their queues: where they report progress, or in three seconds."""
    _stopping.set()
    timer = threading.Timer(PATIENCE_SECONDS, _lose_patience)
    timer.daemon = True  # a worker whose jobs have noticed ends at once
    timer.start()


def put_back(identifier: UUID, claim: UUID) -> None:
    """Let a claimed job wait again, as if it had not been begun."""
    mine = Job.objects.filter(id=identifier, claim=claim, state=State.RUNNING)
    if mine.update(state=State.QUEUED, claim=None, heartbeat=None, attempts=F("attempts") - 1):
        sending.send_or_leave(identifier)
        leave_to_the_next(identifier)


def leave_to_the_next(identifier: UUID) -> None:
    """Let the next worker that starts send a job again: one that stops still takes messages, and ends with them."""
    Job.objects.filter(id=identifier, state=State.QUEUED).update(sent_at=None)


def put_all_back() -> None:
    """Let all jobs that this process runs wait again; what it still does for them comes to nothing."""
    for identifier, claim in list(_claims.items()):
        try:
            put_back(identifier, claim)
        except Error:  # the database has stopped earlier; the schedule finds the job by its stale heartbeat
            logger.warning("the job %s could not be put back", identifier, exc_info=True)


def fault(detail: str) -> Json:
    return json.loads(problem(500, detail=detail).content)  # type: ignore[no-any-return]


def overdue() -> Json:
    return document(DeadlineExceeded("the job was not finished in time"))


def document(error: LatentMASError) -> Json:
    """Return the problem document of an error."""
    return json.loads(problem_for(error).content)  # type: ignore[no-any-return]


def _lose_patience() -> None:
    put_all_back()
    connection.close()


def _end(job: Job, state: State, *, result: Json | None = None, problem: Json | None = None) -> Job:
    mine = Job.objects.filter(id=job.id, claim=job.claim, state=State.RUNNING)
    ended: dict[str, Any] = {"state": state, "result": result, "problem": problem}
    ended |= {"finished_at": timezone.now(), "heartbeat": None, "claim": None}
    with nullcontext() if job.parent_id is None else transaction.atomic():
        if job.parent_id is not None:
            parts.lock_whole(job)
        if mine.update(**ended):
            if job.parent_id is not None:
                parts.note_end(job)
            return _with(job, ended)
    job.refresh_from_db()
    return job


def _with(job: Job, written: Mapping[str, Any]) -> Job:
    """Return the job as it was just written, without reading it again."""
    for name, value in written.items():
        setattr(job, name, value)
    return job


class _Reporter:
    """Writes the job's progress, at the beginning of every stage and at most once a second."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._title = kind_named(job.kind).title(job.arguments)
        self._written = 0.0

    def stage(self, name: str) -> Callable[[int, int], None]:
        logger.info("%s: %s", self._title, name)
        self._say(name, 0, 0, at_once=True)
        begun = time.monotonic()

        def progress(done: int, total: int) -> None:
            if done == total:
                logger.info("%s: %s done, %.0f s", self._title, name, time.monotonic() - begun)
            self._say(name, done, total, at_once=done == total)

        return progress

    def _say(self, stage: str, done: int, total: int, *, at_once: bool) -> None:
        if _stopping.is_set():
            raise Stopped
        now = time.monotonic()
        if not at_once and now - self._written < PROGRESS_SECONDS:
            return
        self._written = now
        job = self._job
        job.stage, job.done, job.total = stage[:200], done, total
        if not Job.objects.filter(id=job.id, claim=job.claim).update(stage=job.stage, done=done, total=total):
            raise ClaimLost
        if timezone.now() >= job.deadline:
            raise Overdue


@contextmanager
def _heartbeat(identifier: UUID, claim: UUID) -> Iterator[None]:
    """Renew the job's heartbeat from a thread, however long a single step of the handler takes."""
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
