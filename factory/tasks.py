"""The factory's entry in the schedule."""

from factory.cold_start.jobs import start_run
from latentmas.celery import app

HOURS = 12  # after so many, a run begins no further pair


@app.task(name="factory.weekly_run")
def weekly_run() -> None:
    """Start a run of the factory (specification, phase 2: weekly updates)."""
    start_run(hours=HOURS)
