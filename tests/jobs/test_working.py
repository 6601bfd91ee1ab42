"""Jobs run once, survive their worker's death, and end with a result or a problem."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from latentmas.jobs import sending, upkeep, working
from latentmas.jobs.commands import start
from latentmas.jobs.handlers import handler
from latentmas.jobs.models import STALE_AFTER, Job, State
from latentmas.protocol.errors import Conflict
from tests.work import work

pytestmark = pytest.mark.django_db


def add(*numbers: int, by: str = "token:a") -> Job:
    return start("add", arguments={"numbers": list(numbers)}, requested_by=by)


def test_a_job_ends_with_its_result() -> None:
    job = add(1, 2)
    assert [each.id for each in work()] == [job.id]
    job.refresh_from_db()
    assert (job.state, job.result, job.problem) == (State.DONE, {"sum": 3, "for": "token:a"}, None)
    assert (job.stage, job.done, job.total) == ("add", 3, 3)
    assert job.finished_at is not None
    assert job.claim is None


def test_the_oldest_job_comes_first() -> None:
    jobs = [add(number) for number in range(3)]
    assert [each.id for each in work()] == [each.id for each in jobs]


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
    assert [each.state for each in work()] == [State.FAILED, State.DONE]


def test_a_claimed_job_is_not_claimed_again() -> None:
    job = add(1)
    assert working.claim(job.id) is not None
    assert working.claim(job.id) is None


def test_a_job_whose_worker_has_died_is_taken_up_again_and_the_dead_changes_nothing() -> None:
    job = add(1)
    dead = working.claim(job.id)
    assert dead is not None
    Job.objects.filter(id=dead.id).update(heartbeat=timezone.now() - STALE_AFTER - timedelta(seconds=1))
    ended = working.run(working.claim(job.id))
    assert (ended.state, ended.attempts) == (State.DONE, 2)
    assert working.run(dead).result == ended.result  # it wakes up late
    assert Job.objects.get().attempts == 2


def test_a_job_that_kills_its_workers_is_given_up() -> None:
    job = add(1)
    for _ in range(working.MAX_ATTEMPTS):
        assert working.claim(job.id) is not None
        Job.objects.update(heartbeat=timezone.now() - STALE_AFTER - timedelta(seconds=1))
    (ended,) = work()
    assert (ended.state, ended.problem["code"]) == (State.FAILED, "INTERNAL_ERROR")
    assert "3 times" in ended.problem["detail"]


def test_a_stopped_job_waits_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = threading.Event()
    monkeypatch.setattr(working, "_stopping", stopping)

    @handler("stopped")
    def stopped(run):
        stopping.set()
        run.stage("never begun")
        raise AssertionError

    job = working.run(working.claim(start("stopped", arguments={}, requested_by="token:a").id))
    assert (job.state, job.attempts, job.claim) == (State.QUEUED, 0, None)


def test_a_job_that_does_not_notice_is_put_back_by_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "_stopping", threading.Event())

    @handler("deaf")
    def deaf(run):
        working.put_all_back()  # what the timer of `stop` does
        return {"late": True}

    job = working.run(working.claim(start("deaf", arguments={}, requested_by="token:a").id))
    assert (job.state, job.attempts, job.result) == (State.QUEUED, 0, None)


def test_a_worker_that_stops_takes_no_job_and_leaves_it_to_the_next_that_starts(monkeypatch) -> None:
    job = add(1)
    Job.objects.update(sent_at=timezone.now())
    with monkeypatch.context() as stopping:
        stopping.setattr(working, "_stopping", threading.Event())
        working._stopping.set()
        assert working.claim(job.id) is None
    messages: list[object] = []
    monkeypatch.setattr(sending, "send", messages.append)
    upkeep.send_put_back()
    assert messages == [job]


def test_an_interrupt_puts_the_job_back() -> None:
    @handler("interrupted")
    def interrupted(run):
        raise KeyboardInterrupt

    job = start("interrupted", arguments={}, requested_by="token:a")
    with pytest.raises(KeyboardInterrupt):
        working.run(working.claim(job.id))
    assert Job.objects.get().state == State.QUEUED


def test_a_job_past_its_deadline_fails_where_it_reports_progress() -> None:
    job = add(1)
    Job.objects.update(deadline=timezone.now())
    (ended,) = work()
    assert (ended.id, ended.state, ended.problem["code"]) == (job.id, State.FAILED, "DEADLINE_EXCEEDED")


def test_the_same_work_asked_for_again_is_the_same_job_while_it_is_open() -> None:
    job = add(1)
    assert add(1).id == job.id
    assert add(2).id != job.id
    assert add(1, by="token:b").id != job.id
    list(work())
    assert add(1).id != job.id


def test_open_jobs_are_limited_a_requester(settings) -> None:
    settings.JOBS_OPEN = 2
    add(1)
    add(2)
    with pytest.raises(Conflict, match="2 open jobs"):
        add(3)
    add(3, by="token:b")


def test_a_kind_nobody_knows_is_refused() -> None:
    with pytest.raises(LookupError):
        start("unknown", arguments={}, requested_by="token:a")


def _run(kind: str):
    start(kind, arguments={}, requested_by="token:a")
    return work()
