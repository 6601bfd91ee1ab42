"""Kinds of jobs for the measurements, which workers import by `--include`; what they do is written into a file."""

import os
import time
from pathlib import Path

from latentmas.jobs.handlers import Json, Queue, Run, handler

LIGHT, SECOND = "benchmark.light", "benchmark.second"
RECORD = "BENCHMARK_RECORD"  # names the file


@handler(LIGHT, queue=Queue.LIGHT)
def light(run: Run) -> Json:
    _record(run)
    return {}


@handler(SECOND, queue=Queue.WORK)
def second(run: Run) -> Json:
    _record(run, f"begun {os.getpid()}")
    time.sleep(1.0)
    _record(run)
    return {}


def _record(run: Run, what: str = "ended") -> None:
    # One short write to a file that is opened for appending is not torn by another process.
    place = os.open(Path(os.environ[RECORD]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(place, f"{run.identifier} {what}\n".encode())
    finally:
        os.close(place)
