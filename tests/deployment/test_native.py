"""The processes of compose.yaml on free ports of this machine, asked over HTTP: the main job, a worker that is replaced
meanwhile, a backup that is restored, and nothing left at the end.

Without a database fixture: `make test` runs this once, whatever database the other tests use.
"""

import hashlib
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery import Celery

from benchmarks.jobs.workers import wait_for
from latentmas.rest.answers import CONTENT_TYPE
from tests.deployment.native import Deployment
from tests.deployment.processes import Processes
from tests.factory.synthetic import Synthetic

JOB_SECONDS = 120.0
REQUESTS = 40
HEAD = re.compile(r"^latentmas_event_log_head (\S+)$", re.MULTILINE)
MODELS = (("gpt-4", 6), ("claude-3-opus", 7))  # name, characters of a token


@pytest.fixture(scope="module")
def api(deployment: Deployment) -> httpx.Client:
    account = {"DJANGO_SUPERUSER_USERNAME": "operator", "DJANGO_SUPERUSER_PASSWORD": "long-and-unused"}
    deployment.manage("createsuperuser", "--noinput", "--email", "operator@market.example", **account)
    return deployment.client(deployment.manage("create_token", "operator").strip())


def test_every_part_is_ready_and_the_doctor_finds_nothing_wrong(deployment: Deployment) -> None:
    with deployment.client() as client:
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz").json()
    assert ready["checks"] == dict.fromkeys(("database", "migrations", "broker", "storage"), "ok")
    assert deployment.is_healthy("web")
    wait_for("both workers to answer", lambda: len(workers(deployment)) == 2)
    found = deployment.manage("doctor", WEB_CONCURRENCY="2", PROMETHEUS_MULTIPROC_DIR=str(deployment.processes.folder))
    assert "ok     the database answers (postgresql)" in found
    assert "workers that answer: light@" in found
    assert "measure@" in found


def test_a_job_outlives_its_worker_and_its_file_is_the_one_that_was_made(
    deployment: Deployment, api: httpx.Client, tmp_path: Path
) -> None:
    for name, characters in MODELS:
        data = Synthetic(name, characters=characters).bytes(tmp_path)
        answer = api.post("/api/calibration-packs", content=data, headers={"Content-Type": CONTENT_TYPE})
        assert answer.status_code == 201, answer.text
    request = {"source_model": MODELS[0][0], "target_model": MODELS[1][0], "method": "orthogonal"}
    started = api.post("/api/latentmas/w-matrix/generate", json=request)
    assert started.status_code == 202, started.text

    def state() -> str:
        return str(api.get(started.headers["Location"]).json()["state"])

    wait_for("a worker to take the job", lambda: state() == "running", seconds=JOB_SECONDS)
    deployment.processes.stop("measure")
    assert state() == "queued"
    deployment.start("measure")
    wait_for("the job to end", lambda: state() not in ("queued", "running"), seconds=JOB_SECONDS)
    job = api.get(started.headers["Location"]).json()
    assert job["state"] == "done", job

    sent = api.get(f"{job['result']['url']}/file")
    assert sent.status_code == 302
    assert sent.headers["Location"].startswith(deployment.store.url)
    file = httpx.get(sent.headers["Location"]).raise_for_status().content
    assert f"sha256:{hashlib.sha256(file).hexdigest()}" == job["result"]["digest"]


def test_the_metrics_count_the_requests_of_all_web_processes(deployment: Deployment) -> None:
    def ask(_: int) -> int:
        with deployment.client() as client:  # a connection of its own, which either process may take
            return client.get("/api/models/gpt-4").status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(REQUESTS))) == {200}
    with deployment.client() as client:
        figures = client.get("/metrics").text.splitlines()
    counted = next(line for line in figures if line.startswith("latentmas_requests_total{") and "models/<" in line)
    assert float(counted.split()[-1]) == REQUESTS


def test_a_dump_restores_to_the_same_log_tables_and_files(deployment: Deployment, tmp_path: Path) -> None:
    database, dump = deployment.database, tmp_path / "latentmas.dump"
    with deployment.client() as client:
        position = int(float(HEAD.search(client.get("/metrics").text)[1]))
    assert position > 0
    database.run("pg_dump", "--format", "custom", "--file", str(dump), "latentmas")
    database.run("createdb", "restored")
    database.run("pg_restore", "--exit-on-error", "--no-owner", "--dbname", "restored", str(dump))
    restored = database.url("restored")
    proved = json.loads(deployment.manage("verify_log", "--json", DATABASE_URL=restored))
    assert proved == {"events": position, "faults": []}
    assert "as the log gives them" in deployment.manage("rebuild_projections", "--check", DATABASE_URL=restored)

    deployment.manage("move_blobs", "--from", "s3", "--to", "local", "--verify", DATA_DIR=str(tmp_path))
    files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert len(files) >= len(MODELS) + 1  # the packs and what was made of them
    names = "".join(f"{path.name}  {path}\n" for path in files)
    subprocess.run(["sha256sum", "--check", "--quiet"], input=names, text=True, check=True)


def test_what_the_schedule_sends_is_done_by_the_light_worker(deployment: Deployment) -> None:
    def done() -> bool:
        return any(each["total"].get("latentmas.jobs.keep_up") for each in inspected(deployment, "stats").values())

    wait_for("a worker to do what the schedule sends every 30 seconds", done)


def test_everything_ends_when_it_is_asked_to_and_nothing_is_left(deployment: Deployment, processes: Processes) -> None:
    assert len(processes.left()) > len(processes.running)  # it does see them
    processes.stop_all()
    assert processes.left() == []


def workers(deployment: Deployment) -> dict[str, Any]:
    return inspected(deployment, "ping")


def inspected(deployment: Deployment, what: str) -> dict[str, Any]:
    """Return what each worker answers to a question, by its name."""
    with Celery(broker=deployment.broker.url, set_as_current=False) as app:
        return getattr(app.control.inspect(timeout=1.0), what)() or {}
