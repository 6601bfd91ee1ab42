"""The Celery tasks of jobs: run one, and what the schedule or a worker's start does for all."""

from typing import Any
from uuid import UUID

from celery.signals import worker_ready

from latentmas.celery import app
from latentmas.jobs import sending, stopping, upkeep, working  # noqa: F401 - stopping waits for signals


@app.task(name=sending.TASK)
def run(identifier: str) -> None:
    """Run the job if it waits. A second message, or one for a job that is gone, does nothing."""
    job = working.claim(UUID(identifier))
    if job is not None:
        working.run(job)


@app.task(name="latentmas.jobs.keep_up")
def keep_up() -> None:
    upkeep.end_overdue()
    upkeep.send_lost_again()


@app.task(name="latentmas.jobs.delete_old")
def delete_old() -> None:
    upkeep.delete_old()


@worker_ready.connect
def take_up(**_: Any) -> None:
    upkeep.send_put_back()
