"""Worker processes and a schedule, started as the Procfile starts them, with an environment of the run's own."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
ANSWER_SECONDS = 5


def start_worker(environment: Mapping[str, str], *, include: str, queues: str, name: str) -> subprocess.Popen[bytes]:
    """Start a worker process that runs one job at a time and knows the kinds of jobs of a module."""
    options = ["--queues", queues, "--include", include, "--pool", "solo", "--hostname", f"{name}@%h"]
    return _start([*options, "--without-gossip", "--without-mingle"], "worker", environment)


def start_schedule(environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return _start([], "beat", environment)


@contextmanager
def ended_afterwards(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Kill whatever of a list of processes still runs, also what was added to it meanwhile."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def wait_for(what: str, ready: Callable[[], bool], *, seconds: float = START_SECONDS) -> None:
    """Wait until `ready()` is true. Raises TimeoutError, which says what was waited for."""
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Return whether a server answers 200 there."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _start(options: list[str], what: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "latentmas.celery", what, *options]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | dict(environment))
