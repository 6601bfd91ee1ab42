"""The doctor: each thing that can be wrong with a deployment gets one line that says what to do."""

import shutil
from collections.abc import Iterable
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from latentmas.events import store, triggers
from latentmas.health import configuration, data, doctor, surroundings
from latentmas.health.findings import Finding, Level

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own(own_files, settings, monkeypatch):
    settings.CELERY_BROKER_URL = "files://localhost/"
    settings.CACHE_DIR.mkdir()
    for name in ("WEB_CONCURRENCY", "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.delenv(name, raising=False)


def examined() -> str:
    out = StringIO()
    call_command("doctor", stdout=out, no_color=True)
    return out.getvalue()


def the_wrong(found: Iterable[Finding]) -> str:
    (only,) = [each for each in found if each.level is Level.WRONG]
    assert only.advice
    return only.what


def test_a_local_deployment_has_nothing_wrong(own_files):
    lines = examined().splitlines()
    assert {line.split()[0] for line in lines} == {"ok", "note"}
    for part in ("the database answers", "append-only", "every migration", "clocks agree", "can be written", "GB free"):
        assert any(part in line for line in lines), part
    assert not list((own_files / "blobs").iterdir())  # the doctor cleans up


def test_it_exits_with_an_error_that_counts_what_is_wrong(settings):
    settings.KV_CACHE_MAX_BYTES = settings.MAX_FILE_BYTES + 1
    settings.CALIBRATION_PACK_MAX_BYTES = settings.MAX_FILE_BYTES + 1
    with pytest.raises(CommandError, match=r"^2 things are wrong$"):
        examined()


def test_a_log_that_can_be_changed():
    triggers.remove(connection)
    assert "events_event_" in the_wrong(data.append_only())
    with pytest.raises(CommandError, match=r"^1 thing is wrong$"):
        examined()


def test_a_head_row_that_disagrees_with_the_log(load_models):
    load_models("gpt-4")
    last = store.head_position()
    with triggers.lifted(), connection.cursor() as cursor:
        cursor.execute("UPDATE events_loghead SET position = 1007")
        assert the_wrong(data.log_head()).endswith(f"the head row says 1007, but the last event is at {last}")
        cursor.execute("UPDATE events_loghead SET position = %s", [last])


@pytest.mark.parametrize(("hours", "what"), [(1, "seconds apart"), (-1, "seconds apart")])
def test_clocks_that_differ(monkeypatch, hours, what):
    monkeypatch.setattr(data, "_database_time", lambda: timezone.now() + timedelta(hours=hours))
    assert what in the_wrong(data.clocks())


def test_an_event_from_the_future(monkeypatch, load_models):
    monkeypatch.setattr(store.timezone, "now", lambda real=timezone.now: real() + timedelta(hours=1))
    load_models("gpt-4")
    monkeypatch.undo()
    assert "has not come yet" in the_wrong(data.clocks())


def test_no_worker_answers(settings):
    settings.CELERY_BROKER_URL = "memory://"
    assert the_wrong(surroundings.workers()).startswith("no worker answered within 2 seconds")


def test_workers_that_answer_are_named(settings, monkeypatch):
    settings.CELERY_BROKER_URL = "memory://"
    answers = SimpleNamespace(ping=lambda: {"celery@two": {"ok": "pong"}, "celery@one": {"ok": "pong"}})
    monkeypatch.setattr("celery.app.control.Control.inspect", lambda self, timeout: answers)
    (found,) = surroundings.workers()
    assert (found.level, found.what) == (Level.OK, "workers that answer: celery@one, celery@two")


def test_a_broker_that_is_down_is_one_finding_and_no_worker_is_looked_for(settings):
    settings.CELERY_BROKER_URL = "amqp://guest:hunter2@127.0.0.1:1//"
    found = list(doctor.examine())
    assert the_wrong(found).startswith("the broker does not answer")
    assert not any("worker" in each.what for each in found)


class ReadOnlyStorage(FileSystemStorage):
    def _save(self, name, content):
        raise PermissionError("[Errno 13] Permission denied")


def test_a_storage_that_cannot_be_written(settings):
    settings.STORAGES = settings.STORAGES | {"blobs": {"BACKEND": f"{__name__}.ReadOnlyStorage"}}
    assert "Permission denied" in the_wrong(surroundings.writable_storage())


def test_a_disk_that_is_full(monkeypatch, settings):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=settings.MAX_FILE_BYTES - 1))
    found = list(surroundings.disk_space())
    assert [each.what.split()[0] for each in found if each.level is Level.WRONG] == ["DATA_DIR", "CACHE_DIR"]


def test_a_machine_without_models_may_be_meant(monkeypatch):
    monkeypatch.setattr(surroundings, "installed_models", list)
    (found,) = surroundings.weights()
    assert found.level is Level.NOTE


def test_several_web_processes(monkeypatch, settings):
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    assert "counts the requests of one of them" in the_wrong(configuration.web_processes())
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/tmp/metrics")
    assert not list(configuration.web_processes())
    settings.PRODUCTION = True
    if connection.vendor == "sqlite":
        assert "SQLite" in the_wrong(configuration.web_processes())


def test_production_that_serves_nobody(settings):
    settings.PRODUCTION = True
    settings.ALLOWED_HOSTS = ["localhost"]
    assert the_wrong(configuration.production()).startswith("ALLOWED_HOSTS")
    settings.ALLOWED_HOSTS = ["market.example.org"]
    assert not [each for each in configuration.production() if each.level is Level.WRONG]


def test_djangos_own_checks_are_passed_on(settings):
    settings.SILENCED_SYSTEM_CHECKS = []
    settings.STATIC_URL, settings.MEDIA_URL = "same/", "same/"
    settings.STATICFILES_DIRS = ["/tmp"]
    settings.STATIC_ROOT = "/tmp"
    assert "staticfiles.E002" in the_wrong(configuration.django_checks())


def test_in_production_djangos_checks_of_a_deployment_are_notes(settings):
    settings.PRODUCTION, settings.SESSION_COOKIE_SECURE = True, False
    found = [each for each in configuration.django_checks() if "security.W012" in each.what]
    assert [each.level for each in found] == [Level.NOTE]
    settings.PRODUCTION = False
    assert [each.level for each in configuration.django_checks()] == [Level.OK]


def test_a_check_that_fails_itself_is_a_finding(monkeypatch):
    def broken():
        raise RuntimeError("out of order")
        yield

    monkeypatch.setattr(doctor, "WITHOUT_DATABASE", (broken, configuration.limits))
    assert the_wrong(doctor.examine()) == "the check broken failed: out of order"
