"""The factory's entries in the schedule."""

from factory.cold_start.jobs import start_run
from factory.memories.retokenising_jobs import start_lacking
from latentmas.celery import app

HOURS = 12  # after so many, a run begins no further pair


@app.task(name="factory.weekly_run")
def weekly_run() -> None:
    """Start a run of the factory (specification, phase 2: weekly updates)."""
    start_run(hours=HOURS)


@app.task(name="factory.retokenise_memories")
def retokenise_memories() -> None:
    """Have what is on sale read in the tokens of models to which a certified W-Matrix leads by now."""
    start_lacking()
