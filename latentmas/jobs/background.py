"""The worker thread of a serving process (`JOBS=thread`); with `JOBS=worker`, `manage.py run_jobs` runs the jobs."""

import atexit
import logging
import os
import threading

from django.conf import settings
from django.db import Error, connections

from latentmas.jobs import working
from latentmas.jobs.models import Job

THREAD = "thread"
PATIENCE_SECONDS = 5.0  # for a job to notice that the process stops

logger = logging.getLogger(__name__)


class BackgroundWorker:
    """Runs queued jobs until none is left, then ends; `wake` starts it again."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._again = False
        self._thread: threading.Thread | None = None
        self._current: Job | None = None

    def wake(self) -> None:
        with self._lock:
            self._again = True
            if self._thread is None and not self._stop.is_set():
                # A daemon: a kernel that computes for minutes must not hold up the end of the process.
                self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop the thread and put its running job back into the queue."""
        if self._process != os.getpid():  # a copy in a forked child: the job is the parent's
            return
        self._stop.set()
        self.join(PATIENCE_SECONDS)
        if (job := self._current) is not None and job.claim is not None:
            try:
                working.put_back(job.id, job.claim)
            except Error:  # the database has stopped earlier; another worker finds the job by its stale heartbeat
                logger.warning("the job %s could not be put back", job)

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, at most `seconds`."""
        if (thread := self._thread) is not None:
            thread.join(seconds)

    def _work(self) -> None:
        try:
            while self._is_wanted():
                for _ended in working.work(report=self._note, stop=self._stop):
                    self._current = None
        except working.Stopped:
            self._current = None
        except Exception:  # such as an unreachable database; the next wake tries again
            logger.exception("the thread that does the jobs has ended")
            with self._lock:
                self._thread = None
        finally:
            connections.close_all()

    def _note(self, job: Job) -> None:
        self._current = job

    def _is_wanted(self) -> bool:
        """Return whether somebody woke the thread since it last looked; if not, the next wake starts another."""
        with self._lock:
            wanted, self._again = self._again, False
            if not wanted:
                self._thread = None
            return wanted


_workers: dict[int, BackgroundWorker] = {}


def worker() -> BackgroundWorker:
    """Return the worker of this process: a forked child needs its own, because threads do not survive a fork."""
    process = os.getpid()
    if process not in _workers:
        _workers[process] = BackgroundWorker()
        atexit.register(_workers[process].stop)
    return _workers[process]


def wake() -> None:
    """Start the worker thread where serving processes run the jobs (`JOBS=thread`)."""
    if settings.JOBS == THREAD:
        worker().wake()
