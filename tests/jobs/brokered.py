"""A kind of job for workers in processes of their own, which leaves a trace of every run."""

import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path

from latentmas.jobs.handlers import Json, Queue, Run, handler

KIND, DEAF = "brokered", "brokered and deaf"
RECORD = "BROKERED_RECORD"  # names the file in which every run leaves a line when it begins and when it ends
STALE_AFTER = timedelta(seconds=2)  # for these workers, and for the schedule beside them


@handler(DEAF, queue=Queue.MEASURE)
def deaf(run: Run) -> Json:
    """Compute for a minute or so without coming back to Python, as a large matrix is solved."""
    _record("begun", run)
    hashlib.pbkdf2_hmac("sha256", b"", b"", iterations=100_000_000)
    return {}


@handler(KIND, queue=Queue.WORK)
def brokered(run: Run) -> Json:
    _record("begun", run)
    time.sleep(run.arguments["seconds"])
    _record("ended", run)
    return {}


def _record(what: str, run: Run) -> None:
    with Path(os.environ[RECORD]).open("a") as lines:
        lines.write(f"{what} {run.identifier} {os.getpid()}\n")
