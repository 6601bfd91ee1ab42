"""Bring your own model with the client: upload two packs, have a W-Matrix made, and wait for it."""

import pytest

from awareness_sdk import AwarenessError
from awareness_sdk.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from latentmas.jobs.models import Job
from latentmas.rest.scopes import CALIBRATION_PACKS_WRITE, KV_CACHE_COMPUTE, W_MATRICES_GENERATE
from tests.factory.synthetic import Synthetic
from tests.work import celery_worker

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 60.0


@pytest.fixture
def client(sdk_with):
    with celery_worker():
        yield sdk_with(CALIBRATION_PACKS_WRITE, W_MATRICES_GENERATE)


@pytest.fixture
def packs(client, tmp_path) -> list[dict]:
    return uploaded(client, tmp_path)


def uploaded(client, tmp_path) -> list[dict]:
    models = (("gpt-4", 6), ("claude-3-opus", 7))
    written = [Synthetic(name, characters=each).write(tmp_path / f"{name}.safetensors") for name, each in models]
    return [client.calibration_packs.upload(path) for path in written]


def test_two_uploaded_packs_become_a_w_matrix(client, packs):
    heard = []
    made = client.generate_w_matrix(
        "gpt-4", "claude-3-opus", method="orthogonal", timeout=SECONDS, progress=lambda *far: heard.append(far)
    )
    assert (made["version"], made["basis"], made["method"]) == ("1.0.0", "declared", "orthogonal")
    assert [made["source_pack"], made["target_pack"]] == [each["digest"] for each in packs]
    stage, done, total = heard[-1]
    assert stage
    assert done == total > 0
    assert client.generate_w_matrix("gpt-4", "claude-3-opus", method="orthogonal") == made  # without a job
    assert client.jobs.get(str(Job.objects.get().id))["result"] == made


def test_packs_are_listed(client, packs):
    assert [each["model"] for each in client.calibration_packs.list(limit=1)] == ["claude-3-opus", "gpt-4"]
    assert client.calibration_packs.get(packs[0]["digest"]) == packs[0]


def test_errors_carry_the_servers_code_and_advice(client, packs, tmp_path):
    with pytest.raises(NotFound) as missing:
        client.generate_w_matrix("gpt-4", "smollm2-135m")
    assert missing.value.code == "W_MATRIX_NOT_FOUND"
    assert "calibrate smollm2-135m" in missing.value.resolution
    (tmp_path / "empty").write_bytes(b"short")
    with pytest.raises(InvalidRequest):
        client.calibration_packs.upload(tmp_path / "empty")
    with pytest.raises(NotFound):
        client.jobs.get("nothing")


def test_a_job_that_fails_raises_its_problem(client, packs, monkeypatch):
    from latentmas.protocol.errors import StorageUnavailable

    def full(*_args, **_options):
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr("factory.recipes.from_packs.results.store", full)
    with pytest.raises(AwarenessError) as failed:
        client.generate_w_matrix("gpt-4", "claude-3-opus", timeout=SECONDS)
    assert (failed.value.code, failed.value.status) == ("STORAGE_UNAVAILABLE", 507)


def test_a_wait_can_be_given_up_and_the_job_cancelled(sdk_with, tmp_path):
    client = sdk_with(CALIBRATION_PACKS_WRITE, W_MATRICES_GENERATE)  # and there is no worker
    uploaded(client, tmp_path)
    with pytest.raises(AwarenessError) as given_up:
        client.generate_w_matrix("gpt-4", "claude-3-opus", timeout=0.1)
    assert given_up.value.code == "TIMEOUT"
    (job,) = client.jobs.list(open_only=True)
    assert client.jobs.cancel(job["id"])["state"] == "cancelled"
    assert client.jobs.list(open_only=True) == []
    with pytest.raises(Conflict):
        client.jobs.cancel(job["id"])
    with pytest.raises(AwarenessError) as cancelled:
        client.jobs.wait(job)
    assert cancelled.value.code == "CANCELLED"


def test_a_token_without_the_scope_is_turned_away(sdk_with):
    with pytest.raises(PermissionDenied):
        sdk_with(KV_CACHE_COMPUTE).generate_w_matrix("gpt-4", "llama-3-8b")
