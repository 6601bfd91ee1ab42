"""Jobs over REST are private to whoever started them."""

import uuid

import pytest
from django.test import Client

from latentmas.jobs import background, working
from latentmas.jobs.commands import start

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(requester):
    return start("add", arguments={"numbers": [1, 2]}, requested_by=requester)


def test_an_open_job_says_how_far_it_is_and_when_to_ask_again(api, job) -> None:
    response = api.get(f"/api/jobs/{job.id}")
    answer = response.json()
    assert (response.status_code, answer["state"], answer["result"], answer["problem"]) == (200, "queued", None, None)
    assert answer["progress"] == {"stage": "", "done": 0, "total": 0}
    assert response["Retry-After"] == "2"
    assert response["Cache-Control"] == "no-store"


def test_a_finished_job_holds_its_result(api, job) -> None:
    list(working.work())
    response = api.get(f"/api/jobs/{job.id}")
    assert response.json()["result"]["sum"] == 3
    assert response.json()["progress"] == {"stage": "add", "done": 3, "total": 3}
    assert "Retry-After" not in response


def test_a_failed_job_holds_the_problem(api, requester) -> None:
    job = start("refuse", arguments={}, requested_by=requester)
    list(working.work())
    problem = api.get(f"/api/jobs/{job.id}").json()["problem"]
    assert (problem["code"], problem["resolution"]) == ("INVALID_INPUT", "Send some.")


@pytest.mark.parametrize("identifier", [str(uuid.uuid4()), "nothing", "%00"])
def test_there_is_no_such_job(api, identifier: str) -> None:
    response = api.get(f"/api/jobs/{identifier}")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


def test_nobody_elses_job_is_shown(api) -> None:
    job = start("add", arguments={"numbers": []}, requested_by="token:somebody")
    assert api.get(f"/api/jobs/{job.id}").status_code == 404


def test_a_job_needs_an_account(job) -> None:
    assert Client().get(f"/api/jobs/{job.id}").status_code == 401


def test_asking_for_a_job_that_waits_wakes_the_worker(api, job, monkeypatch: pytest.MonkeyPatch) -> None:
    woken = []
    monkeypatch.setattr(background, "wake", lambda: woken.append(True))
    api.get(f"/api/jobs/{job.id}")
    list(working.work())
    api.get(f"/api/jobs/{job.id}")
    assert woken == [True]
