"""Workers for the tests: one that does what waits, without a broker, and a real one in a thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from celery.contrib.testing.worker import start_worker

from latentmas.celery import app
from latentmas.jobs import working
from latentmas.jobs.models import Job, State

NO_HEARTBEAT = 3600.0  # seconds: on SQLite it would wait for the test's transaction, and the end of a job for it


def work() -> Iterator[Job]:
    """Run the jobs that wait, the oldest first, until none does, and yield each as it then is."""
    while waiting := [job for job in Job.objects.order_by("created_at", "part", "id") if _may_run(job)]:
        claimed = working.claim(waiting[0].id)
        assert claimed is not None
        with patch.object(working, "HEARTBEAT_SECONDS", NO_HEARTBEAT):
            ended = working.run(claimed)
        yield ended


@contextmanager
def celery_worker() -> Iterator[None]:
    """Let a thread of this process do the work of all queues, over a broker in memory; needs real transactions."""
    with start_worker(
        app, pool="solo", perform_ping_check=False, queues=["measure", "work", "light"], loglevel="ERROR"
    ):
        yield


def _may_run(job: Job) -> bool:
    from django.utils import timezone

    return job.state in (State.QUEUED, State.RUNNING) and job.waits_at(timezone.now())
