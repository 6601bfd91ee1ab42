"""Jobs run once, survive their worker's death, and end with a result or a problem."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from latentmas.jobs import working
from latentmas.jobs.commands import start
from latentmas.jobs.models import STALE_AFTER, Job, State
from latentmas.protocol.errors import Conflict

pytestmark = pytest.mark.django_db


def add(*numbers: int, by: str = "token:a") -> Job:
    return start("add", arguments={"numbers": list(numbers)}, requested_by=by)


def test_a_job_ends_with_its_result() -> None:
    job = add(1, 2)
    heard = []
    assert [each.id for each in working.work(report=lambda each: heard.append((each.stage, each.done)))] == [job.id]
    job.refresh_from_db()
    assert (job.state, job.result, job.problem) == (State.DONE, {"sum": 3, "for": "token:a"}, None)
    assert heard[0] == ("", 0)
    assert heard[-1] == ("add", 3)
    assert job.finished_at is not None
    assert job.claim is None


def test_the_oldest_job_comes_first() -> None:
    jobs = [add(number) for number in range(3)]
    assert [each.id for each in working.work()] == [each.id for each in jobs]


def test_a_refusal_is_kept_as_its_problem_document() -> None:
    job = next(iter(_run("refuse")))
    assert job.state == State.FAILED
    assert (job.problem["code"], job.problem["status"], job.problem["field"]) == ("INVALID_INPUT", 422, "numbers")
    assert job.problem["resolution"] == "Send some."


def test_an_unexpected_failure_is_logged_and_told_plainly(caplog: pytest.LogCaptureFixture) -> None:
    job = next(iter(_run("crash")))
    assert (job.state, job.problem["code"], job.problem["status"]) == (State.FAILED, "INTERNAL_ERROR", 500)
    assert "secret" not in str(job.problem)
    assert "a secret of the machine" in caplog.text


def test_a_failed_job_does_not_stop_the_next() -> None:
    start("crash", arguments={}, requested_by="token:a")
    add(1)
    assert [each.state for each in working.work()] == [State.FAILED, State.DONE]


def test_a_claimed_job_is_not_claimed_again() -> None:
    add(1)
    assert working.claim() is not None
    assert working.claim() is None


def test_a_job_whose_worker_has_died_is_taken_up_again_and_the_dead_changes_nothing() -> None:
    add(1)
    dead = working.claim()
    assert dead is not None
    Job.objects.filter(id=dead.id).update(heartbeat=timezone.now() - STALE_AFTER - timedelta(seconds=1))
    ended = working.run(working.claim())
    assert (ended.state, ended.attempts) == (State.DONE, 2)
    assert working.run(dead).result == ended.result  # it wakes up late
    assert Job.objects.get().attempts == 2


def test_a_job_that_kills_its_workers_is_given_up() -> None:
    add(1)
    for _ in range(working.MAX_ATTEMPTS):
        assert working.claim() is not None
        Job.objects.update(heartbeat=timezone.now() - STALE_AFTER - timedelta(seconds=1))
    (ended,) = working.work()
    assert (ended.state, ended.problem["code"]) == (State.FAILED, "INTERNAL_ERROR")
    assert "3 times" in ended.problem["detail"]


def test_a_stopped_job_waits_again(kinds) -> None:
    stop = threading.Event()

    def stopping(run):
        stop.set()
        run.stage("never begun")
        raise AssertionError

    kinds["add"] = stopping
    add(1)
    with pytest.raises(working.Stopped):
        list(working.work(stop=stop))
    job = Job.objects.get()
    assert (job.state, job.attempts, job.claim, job.started_at) == (State.QUEUED, 0, None, None)


def test_an_interrupt_puts_the_job_back(kinds) -> None:
    def interrupted(run):
        raise KeyboardInterrupt

    kinds["add"] = interrupted
    add(1)
    with pytest.raises(KeyboardInterrupt):
        list(working.work())
    assert Job.objects.get().state == State.QUEUED


def test_the_same_work_asked_for_again_is_the_same_job_while_it_is_open() -> None:
    job = add(1)
    assert add(1).id == job.id
    assert add(2).id != job.id
    assert add(1, by="token:b").id != job.id
    list(working.work())
    assert add(1).id != job.id


def test_open_jobs_are_limited_a_requester(settings) -> None:
    settings.JOBS_OPEN = 2
    add(1)
    add(2)
    with pytest.raises(Conflict, match="2 open jobs"):
        add(3)
    add(3, by="token:b")


def test_finished_jobs_are_forgotten_after_a_month() -> None:
    old = add(1)
    list(working.work())
    Job.objects.update(finished_at=timezone.now() - timedelta(days=31))
    add(2)
    assert not Job.objects.filter(id=old.id).exists()


def test_a_kind_nobody_knows_is_refused() -> None:
    with pytest.raises(LookupError):
        start("unknown", arguments={}, requested_by="token:a")


def _run(kind: str):
    start(kind, arguments={}, requested_by="token:a")
    return working.work()
