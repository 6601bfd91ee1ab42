"""Messages to the workers, over brokers that are really there, away, or a folder of files."""

import socket
import time
import uuid
from pathlib import Path

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from latentmas.jobs import sending, tasks
from latentmas.jobs.commands import start
from latentmas.jobs.models import Job, State
from latentmas.protocol.errors import QueueUnavailable
from latentmas.rest.scopes import W_MATRICES_GENERATE
from tests.elsewhere import NOBODY, send_to
from tests.work import celery_worker

SECONDS = 20.0
A_FEW = 10.0  # of them


@pytest.mark.django_db(transaction=True)
def test_a_started_job_is_done_by_a_worker_with_its_parts() -> None:
    with celery_worker():
        job = start("add up", arguments={"lists": [[1, 2], [3]]}, requested_by="token:a")
        until = time.monotonic() + SECONDS
        while Job.objects.get(id=job.id).is_open and time.monotonic() < until:
            time.sleep(0.05)
    job.refresh_from_db()
    assert (job.state, job.result["sum"]) == (State.DONE, 6)


@pytest.mark.parametrize("url", NOBODY.values(), ids=NOBODY)
@pytest.mark.django_db(transaction=True)
def test_without_a_broker_nothing_is_started_and_everything_else_goes_on(url, monkeypatch, client_with) -> None:
    send_to(url, monkeypatch)
    with pytest.raises(sending.QueueUnavailable, match="broker does not answer"):
        start("add", arguments={"numbers": [1]}, requested_by="token:a")
    assert not Job.objects.exists()
    assert client_with(W_MATRICES_GENERATE).get("/api/w-matrices").status_code == 200


@pytest.mark.parametrize("scheme", NOBODY)
@pytest.mark.django_db(transaction=True)
def test_a_broker_that_takes_connections_and_is_silent_is_waited_for_a_few_seconds(scheme, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        send_to(NOBODY[scheme].replace(":1/", f":{silent.getsockname()[1]}/"), monkeypatch)
        begun = time.monotonic()
        with pytest.raises(sending.QueueUnavailable):
            start("add", arguments={"numbers": [1]}, requested_by="token:a")
    assert time.monotonic() - begun < A_FEW
    assert not Job.objects.exists()


@pytest.mark.django_db
def test_a_second_message_and_one_for_a_job_that_is_gone_do_nothing() -> None:
    job = start("add", arguments={"numbers": [1]}, requested_by="token:a")
    for _ in range(2):
        tasks.run(str(job.id))
    tasks.run(str(uuid.uuid4()))
    assert Job.objects.get().attempts == 1


def test_the_folder_broker_hands_every_message_to_one_reader(tmp_path: Path) -> None:
    options = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path), "polling_interval": 0.01}
    with Connection("files://", transport_options=options) as writer, writer.SimpleQueue("work") as queue:
        for number in range(20):
            queue.put({"number": number})
    assert len(list(tmp_path.glob("*.msg"))) == 20
    heard = []
    with Connection("files://", transport_options=options) as reader, reader.SimpleQueue("work") as queue:
        for _ in range(20):
            message = queue.get(timeout=5)
            heard.append(message.payload["number"])
            message.ack()
    assert heard == list(range(20))
    assert not list(tmp_path.glob("*.msg"))


def test_a_message_of_the_folder_broker_that_is_no_message_is_passed_over(tmp_path: Path) -> None:
    options = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path), "polling_interval": 0.01}
    for number, text in enumerate(("", "{half", "[]", "null", '{"body": 1}')):  # as after a power failure
        (tmp_path / f"{number}.work.msg").write_text(text)
    with Connection("files://", transport_options=options) as folder, folder.SimpleQueue("work") as queue:
        queue.put({"number": 1})
        message = queue.get(timeout=5)
        message.ack()
    assert message.payload == {"number": 1}


@pytest.mark.django_db(transaction=True)
def test_a_patient_job_stays_on_record_where_no_broker_answers(monkeypatch):
    monkeypatch.setattr("latentmas.jobs.sending.app.send_task", _no_broker)
    job = start("add", arguments={"numbers": [1]}, requested_by="user:1", patient=True)
    job.refresh_from_db()
    assert (job.state, job.sent_at) == ("queued", None)
    with pytest.raises(QueueUnavailable):
        start("add", arguments={"numbers": [2]}, requested_by="user:1")
    assert Job.objects.count() == 1


def _no_broker(*_: object, **__: object) -> None:
    raise OperationalError("no broker")
