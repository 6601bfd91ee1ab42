"""Over real brokers: every job ends once, though workers are killed, the broker restarts and messages are nonsense."""

import os
import signal
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery

from benchmarks.jobs import brokers
from benchmarks.jobs.brokers import Server
from benchmarks.jobs.workers import ended_afterwards, start_worker, wait_for
from latentmas.jobs import sending, upkeep
from latentmas.jobs.commands import start
from latentmas.jobs.models import OPEN, Job, State
from latentmas.jobs.queries import FACTORY
from tests.elsewhere import database_url, send_to
from tests.jobs import brokered
from tests.missing import missing

pytestmark = pytest.mark.django_db(transaction=True)
JOBS, SECONDS = 12, 0.4
KINDS_OF_BROKERS = {
    "rabbitmq": (brokers.rabbitmq_program, brokers.rabbitmq),
    "redis": (brokers.redis_program, lambda: brokers.redis(persistent=True)),
    "redis that forgets": (brokers.redis_program, brokers.redis),
}


@pytest.fixture(scope="module", params=KINDS_OF_BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[Server]:
    program, running = KINDS_OF_BROKERS[request.param]
    if program() is None:
        missing(f"a server for {request.param}")
    with running() as server:
        yield server


@pytest.fixture
def sender(broker: Server, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """What this process sends with."""
    celery = send_to(broker.url, monkeypatch)
    monkeypatch.setattr(upkeep, "STALE_AFTER", brokered.STALE_AFTER)
    monkeypatch.setattr(upkeep, "RESEND_AFTER", timedelta(seconds=3))
    return celery


@pytest.fixture
def record(tmp_path: Path) -> Callable[[], list[tuple[str, str, int]]]:
    """What the runs in all workers have left so far: begun or ended, the job and the process."""

    def lines() -> list[tuple[str, str, int]]:
        path = tmp_path / "record"
        return [(what, job, int(process)) for what, job, process in map(str.split, path.read_text().splitlines())]

    (tmp_path / "record").touch()
    return lines


@pytest.fixture
def begin(broker: Server, tmp_path: Path) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Starts a worker on this test's database."""
    environment = {
        "DATABASE_URL": database_url(),
        "DATA_DIR": str(tmp_path),
        "CELERY_BROKER_URL": broker.url,
        "LOG_LEVEL": "ERROR",
        brokered.RECORD: str(tmp_path / "record"),
    }
    processes: list[subprocess.Popen[bytes]] = []

    def worker() -> "subprocess.Popen[bytes]":
        name = f"worker{len(processes)}"
        processes.append(start_worker(environment, include="tests.jobs.impatient", queues="work", name=name))
        return processes[-1]

    with ended_afterwards(processes):
        yield worker


def started(count: int) -> list[Job]:
    return [
        start(brokered.KIND, arguments={"number": n, "seconds": SECONDS}, requested_by=FACTORY) for n in range(count)
    ]


def ended() -> bool:
    """Do what the schedule does, and return whether no job is open."""
    with suppress(sending.QueueUnavailable):  # a broker that restarts; the schedule comes again
        upkeep.send_lost_again()
    return not Job.objects.filter(state__in=OPEN).exists()


def test_every_job_ends_once_though_a_worker_is_killed_and_the_broker_restarts(broker, sender, begin, record) -> None:
    for _ in range(2):
        begin()
    jobs = started(JOBS)
    wait_for("some jobs to end", lambda: sum(what == "ended" for what, *_ in record()) > 2)
    seen = len(record())
    wait_for("another to begin", lambda: any(what == "begun" for what, *_ in record()[seen:]))
    killed, process = next((job, process) for what, job, process in record()[seen:] if what == "begun")
    os.kill(process, signal.SIGKILL)
    broker.kill()
    broker.start()
    begin()
    wait_for("all jobs to end", ended)
    assert {each.state for each in Job.objects.all()} == {State.DONE}
    assert Counter(job for what, job, _ in record() if what == "ended") == {str(each.id): 1 for each in jobs}
    attempts = {str(each.id): 1 for each in jobs} | {killed: 2}
    assert Counter(job for what, job, _ in record() if what == "begun") == attempts
    assert {str(each.id): each.attempts for each in Job.objects.all()} == attempts


def test_no_message_breaks_a_worker(broker, sender, begin, record) -> None:
    worker = begin()
    for identifier in (str(uuid.uuid4()), "no job", "", None, ["a", "list"]):
        sender.send_task(sending.TASK, args=[identifier], queue="work")
    sender.send_task(sending.TASK, args=[], kwargs={"unknown": True}, queue="work")
    sender.send_task("latentmas.jobs.unknown", args=[str(uuid.uuid4())], queue="work")
    with sender.producer_pool.acquire() as producer:
        for content_type in ("application/json", "application/x-python-serialize", "text/plain"):
            producer.publish(b"{not json", routing_key="work", content_type=content_type, content_encoding="utf-8")
        producer.publish({"no": "headers"}, routing_key="work", serializer="json")
    (job,) = started(1)
    wait_for("the job behind them all", lambda: not Job.objects.get(id=job.id).is_open)
    job.refresh_from_db()
    assert (job.state, job.attempts, worker.poll()) == (State.DONE, 1, None)
