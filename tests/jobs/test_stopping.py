"""Ctrl-C and SIGTERM of all processes of the Procfile: nothing is left, and the next start goes on where it stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.jobs.brokers import free_port
from benchmarks.jobs.workers import ROOT, wait_for
from latentmas import settings
from latentmas.jobs.commands import start
from latentmas.jobs.models import Job, State
from latentmas.jobs.queries import FACTORY
from tests.elsewhere import database_url, send_to
from tests.jobs import brokered

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 20.0  # honcho itself kills after five
AT_ONCE = 28.0  # until all have started on a busy machine; the schedule comes after thirty


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Starts all processes on this test's database and a folder of messages, with its kinds of jobs."""
    procfile = (ROOT / "Procfile").read_text().replace(" worker ", " worker --include tests.jobs.brokered ")
    (tmp_path / "Procfile").write_text(procfile)
    monkeypatch.setitem(settings.BROKERS, "files", folder_of(tmp_path / "broker"))
    (tmp_path / "broker").mkdir()
    send_to("files://localhost/", monkeypatch)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ADDRESS": f"127.0.0.1:{free_port()}",
        "DATABASE_URL": database_url(),
        "DATA_DIR": str(tmp_path),
        "CELERY_BROKER_URL": "files://localhost/",
        brokered.RECORD: str(tmp_path / "record"),
    }
    command = [str(Path(sys.executable).parent / "honcho"), "-d", str(ROOT), "-f", str(tmp_path / "Procfile"), "start"]
    with (tmp_path / "log").open("ab") as log:
        yield lambda: subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    for process in processes_of(tmp_path):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def folder_of(messages: Path) -> dict[str, object]:
    return settings.BROKERS["files"] | {"data_folder_in": str(messages), "data_folder_out": str(messages)}


def processes_of(folder: Path) -> list[int]:
    """Return the processes that were started with a data folder, by their environment."""
    found, mark = [], f"DATA_DIR={folder}\0".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has just ended
            if mark in environment.read_bytes():
                found.append(int(environment.parent.name))
    return found


@pytest.mark.parametrize(("kind", "stopped_by"), [(brokered.KIND, signal.SIGTERM), (brokered.DEAF, signal.SIGINT)])
def test_a_stopped_job_waits_as_it_did_and_the_next_start_takes_it_up_at_once(kind, stopped_by, begin, tmp_path):
    job = start(kind, arguments={"seconds": 60}, requested_by=FACTORY)
    for _ in range(2):
        processes = begin()
        wait_for("the job to begin", lambda: Job.objects.get(id=job.id).state == State.RUNNING, seconds=AT_ONCE)
        wait_for("it to be at work", lambda: (tmp_path / "record").exists(), seconds=SECONDS)
        assert len(processes_of(tmp_path)) >= 5
        processes.send_signal(stopped_by)
        processes.wait(SECONDS)
        assert processes_of(tmp_path) == []
        job.refresh_from_db()
        assert (job.state, job.attempts, job.claim) == (State.QUEUED, 0, None)
        (tmp_path / "record").unlink()
