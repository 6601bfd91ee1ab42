"""The command that does jobs beside the serving processes."""

import os
import signal
from io import StringIO

import pytest
from django.core.management import call_command

from latentmas.jobs.commands import start
from latentmas.jobs.models import Job, State

pytestmark = pytest.mark.django_db


def run_jobs(*, err: StringIO | None = None) -> str:
    out = StringIO()
    try:
        call_command("run_jobs", "--once", stdout=out, stderr=err or StringIO())
    except SystemExit as stopped:
        return f"{out.getvalue()}exit {stopped.code}"
    return out.getvalue()


def test_it_does_what_waits_and_says_what_it_did() -> None:
    start("add", arguments={"numbers": [1]}, requested_by="token:a")
    start("refuse", arguments={}, requested_by="token:a")
    output = run_jobs()
    assert "add 3 of 3" in output
    assert "failed: INVALID_INPUT: no numbers Send some." in output
    assert output.endswith("1 jobs done, 1 failed.\n")


def test_without_work_it_ends_at_once() -> None:
    assert run_jobs() == "0 jobs done, 0 failed.\n"


def test_a_termination_signal_puts_the_job_back_and_ends(kinds) -> None:
    def killed(run):
        os.kill(os.getpid(), signal.SIGTERM)
        run.stage("unreached")

    kinds["add"] = killed
    start("add", arguments={"numbers": [1]}, requested_by="token:a")
    before = signal.getsignal(signal.SIGTERM)
    err = StringIO()
    assert run_jobs(err=err).endswith("0 jobs done, 0 failed.\nexit 130")
    assert "waits again" in err.getvalue()
    assert Job.objects.get().state == State.QUEUED
    assert signal.getsignal(signal.SIGTERM) is before
