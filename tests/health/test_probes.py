"""Probes and the two addresses: what each part's failure looks like, in time and without secrets."""

import os
import subprocess
import sys
import threading
import time

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder

from latentmas.health import probes, readiness
from latentmas.health.probes import Unhealthy
from latentmas.health.readiness import outcomes

NOBODY = "amqp://guest:hunter2@127.0.0.1:1//"  # no broker listens there


class FailingStorage(FileSystemStorage):
    def exists(self, name: str) -> bool:
        raise ConnectionError("https://key:hunter2@bucket.example.org")


@pytest.fixture
def failing_storage(settings):
    settings.STORAGES = settings.STORAGES | {"blobs": {"BACKEND": f"{__name__}.FailingStorage"}}


def test_health_needs_no_database(client):
    assert client.get("/healthz").json() == {"status": "ok"}  # pytest refuses database access here
    assert client.post("/healthz").status_code == 405


IN_PRODUCTION = """
import django
django.setup()
from django.conf import settings
from django.test import Client
client = Client(headers={"host": "localhost"})
print([client.get(path).status_code for path in ("/healthz", "/api/models")], settings.LOG_FORMAT)
"""


def test_probes_in_production_are_answered_over_plain_http():
    environment = {"DJANGO_SETTINGS_MODULE": "latentmas.settings", "ENVIRONMENT": "production", "SECRET_KEY": "x" * 60}
    found = subprocess.run(
        [sys.executable, "-c", IN_PRODUCTION], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[200, 301] json"


@pytest.mark.django_db
def test_a_deployment_that_works_is_ready(client, settings, blobs_folder):
    settings.CELERY_BROKER_URL = "memory://"
    response = client.get("/readyz")
    checks = dict.fromkeys(("database", "migrations", "broker", "storage"), "ok")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "checks": checks})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_every_part_that_fails_is_named_and_no_secret_is(client, settings, failing_storage):
    settings.CELERY_BROKER_URL = NOBODY
    response = client.get("/readyz")
    document = response.json()
    assert (response.status_code, document["status"]) == (503, "unavailable")
    assert document["checks"]["database"] == document["checks"]["migrations"] == "ok"
    assert document["checks"]["broker"].startswith("the broker does not answer (")
    assert document["checks"]["storage"] == "the storage of files does not answer (ConnectionError)"
    assert "hunter2" not in response.content.decode()
    assert "127.0.0.1" not in response.content.decode()


@pytest.mark.django_db
def test_a_missing_migration_is_named():
    MigrationRecorder(connection).record_unapplied("jobs", newest("jobs"))
    with pytest.raises(Unhealthy, match=rf"lacks 1 of the newest migrations: jobs\.{newest('jobs')}$"):
        probes.migrations()


def newest(app: str) -> str:
    return next(name for each, name in probes._newest() if each == app)


def test_a_database_that_does_not_answer(monkeypatch):
    def refuse(*_arguments: object) -> None:
        raise OperationalError("connection to server at db.internal, user hunter2 failed")

    monkeypatch.setattr(connection, "cursor", refuse)
    for probe in (probes.database, probes.migrations):
        with pytest.raises(Unhealthy) as raised:
            probe()
        assert "OperationalError" in str(raised.value)
        assert "hunter2" not in str(raised.value)
        assert raised.value.advice


def test_a_broker_of_files_needs_no_server(settings):
    settings.CELERY_BROKER_URL = "files://localhost/"
    assert probes.broker() == "the broker answers"


def test_a_probe_that_hangs_is_late_and_is_not_started_again():
    over, calls = threading.Event(), []

    def hang() -> str:
        calls.append(1)
        over.wait(30)
        return "awake"

    began = time.monotonic()
    found = [outcomes({"hangs": hang, "works": lambda: "fine"}, patience=0.2) for _ in range(2)]
    assert time.monotonic() - began < 5
    over.set()
    assert [each["hangs"].healthy for each in found] == [False, False]
    assert found[0]["hangs"].what == "hangs: no answer within 0.2 seconds"
    assert found[0]["works"] == readiness.Outcome(True, "fine")
    assert len(calls) == 1
    readiness._running["hangs"].join()
    assert outcomes({"hangs": hang})["hangs"].healthy


def test_a_probe_that_fails_in_a_way_nobody_thought_of():
    def fail() -> str:
        raise RuntimeError("hunter2")

    found = outcomes({"odd": fail})["odd"]
    assert (found.healthy, found.what) == (False, "it could not be tried (RuntimeError)")
