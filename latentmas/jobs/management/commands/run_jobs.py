"""Do the jobs that requests have started (with `JOBS=worker`), or those that a serving process left behind."""

import signal
import time
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from latentmas.jobs import working
from latentmas.jobs.models import Job, State

POLL_SECONDS = 2.0
INTERRUPTED = 130


class Command(BaseCommand):
    help = "Do waiting jobs, one after the other, until stopped; several of these never do one job twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="End when no job waits.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.counts = dict.fromkeys((State.DONE, State.FAILED), 0)
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            self._work(once=options["once"])
        except KeyboardInterrupt:
            self._say_what_was_done()
            self.stderr.write("Stopped; a job that was running waits again.")
            raise SystemExit(INTERRUPTED) from None
        finally:
            signal.signal(signal.SIGTERM, before)
        self._say_what_was_done()

    def _work(self, *, once: bool) -> None:
        while True:
            for ended in working.work(report=self._report):
                self.counts[State(ended.state)] = self.counts.get(State(ended.state), 0) + 1
                self.stdout.write(f"{ended} {_outcome(ended)}")
            if once:
                return
            time.sleep(POLL_SECONDS)

    def _report(self, job: Job) -> None:
        how_far = f" {job.done} of {job.total}" if job.total else ""
        self.stdout.write(f"  {job.stage}{how_far}" if job.stage else f"{job} begun")

    def _say_what_was_done(self) -> None:
        self.stdout.write(f"{self.counts[State.DONE]} jobs done, {self.counts[State.FAILED]} failed.")


def _outcome(job: Job) -> str:
    if job.problem is None:
        return job.state
    return f"{job.state}: {job.problem['code']}: {job.problem['detail']} {job.problem.get('resolution', '')}".strip()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
