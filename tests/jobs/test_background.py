"""The thread of a serving process, on a database with real transactions."""

import threading

import pytest

from latentmas.jobs import background, working
from latentmas.jobs.commands import start
from latentmas.jobs.models import Job, State

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 10.0


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> background.BackgroundWorker:
    worker = background.BackgroundWorker()
    monkeypatch.setattr(background, "worker", lambda: worker)
    return worker


def add() -> Job:
    return start("add", arguments={"numbers": [1, 2]}, requested_by="token:a")


def test_a_started_job_is_done_by_the_thread(worker) -> None:
    job = add()
    worker.join(SECONDS)
    job.refresh_from_db()
    assert (job.state, job.result["sum"]) == (State.DONE, 3)


def test_it_works_again_after_it_has_ended(worker) -> None:
    for _ in range(2):
        add()
        worker.join(SECONDS)
    assert set(Job.objects.values_list("state", flat=True)) == {State.DONE}


def test_with_workers_beside_it_the_serving_process_does_nothing(worker, settings) -> None:
    settings.JOBS = "worker"
    add()
    worker.join(SECONDS)
    assert Job.objects.get().state == State.QUEUED


def test_stopping_puts_the_running_job_back(worker, kinds) -> None:
    begun, over = threading.Event(), threading.Event()

    def long(run):
        progress = run.stage("long")
        begun.set()
        while not over.wait(0.01):
            progress(1, 1)
        return {}

    kinds["add"] = long
    add()
    assert begun.wait(SECONDS)
    worker.stop()
    over.set()
    assert Job.objects.get().state == State.QUEUED
    worker.wake()  # too late: the process ends
    assert Job.objects.get().state == State.QUEUED


def test_stopping_does_not_wait_for_what_does_not_listen(worker, kinds, monkeypatch) -> None:
    monkeypatch.setattr(background, "PATIENCE_SECONDS", 0.1)
    begun, over = threading.Event(), threading.Event()

    def deaf(run):
        begun.set()
        over.wait(SECONDS)
        return {}

    kinds["add"] = deaf
    add()
    assert begun.wait(SECONDS)
    worker.stop()
    assert Job.objects.get().state == State.QUEUED
    over.set()
    worker.join(SECONDS)
    assert Job.objects.get().state == State.QUEUED  # its late result counts no more


def test_two_workers_never_get_the_same_job(settings) -> None:
    settings.JOBS = "worker"
    for number in range(20):
        start("add", arguments={"numbers": [number]}, requested_by=f"token:{number}")
    claimed: list[list[object]] = [[], []]

    def take(mine: list[object]) -> None:
        from django.db import connection

        while (job := working.claim()) is not None:
            mine.append(job.id)
        connection.close()

    threads = [threading.Thread(target=take, args=(mine,)) for mine in claimed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    taken = claimed[0] + claimed[1]
    assert len(taken) == len(set(taken)) == 20
