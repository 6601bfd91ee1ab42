"""Jobs over REST are private to whoever started them."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from latentmas.jobs import working
from latentmas.jobs.commands import start
from latentmas.jobs.models import Job, State
from latentmas.jobs.queries import FACTORY
from tests.work import work

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
    list(work())
    response = api.get(f"/api/jobs/{job.id}")
    assert response.json()["result"]["sum"] == 3
    assert response.json()["progress"] == {"stage": "add", "done": 3, "total": 3}
    assert "Retry-After" not in response


def test_a_failed_job_holds_the_problem(api, requester) -> None:
    job = start("refuse", arguments={}, requested_by=requester)
    list(work())
    problem = api.get(f"/api/jobs/{job.id}").json()["problem"]
    assert (problem["code"], problem["resolution"]) == ("INVALID_INPUT", "Send some.")


@pytest.mark.parametrize("identifier", ["974b5a61-3488-4d9b-99d5-7d80689c22fd", "nothing", "%00"])
def test_there_is_no_such_job(api, identifier: str) -> None:
    response = api.get(f"/api/jobs/{identifier}")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


def test_nobody_elses_job_is_shown(api) -> None:
    job = start("add", arguments={"numbers": []}, requested_by="token:somebody")
    assert api.get(f"/api/jobs/{job.id}").status_code == 404


def test_a_job_needs_an_account(job) -> None:
    assert Client().get(f"/api/jobs/{job.id}").status_code == 401


def test_your_own_jobs_are_listed_the_newest_first(api, requester) -> None:
    first, second = (start("add", arguments={"numbers": [each]}, requested_by=requester) for each in (1, 2))
    start("add", arguments={"numbers": [3]}, requested_by="token:somebody")
    assert [each["id"] for each in api.get("/api/jobs").json()["results"]] == [str(second.id), str(first.id)]
    list(work())
    assert api.get("/api/jobs?open=true").json() == {"results": [], "under_way": []}
    assert len(api.get("/api/jobs?limit=1").json()["results"]) == 1


def test_what_the_factory_has_under_way_is_shown_to_everybody_but_not_what_it_works_on(job) -> None:
    factory = start("add up", arguments={"lists": [[1], [2, 3], [4], [5]]}, requested_by=FACTORY)
    working.run(working.claim(factory.id))
    parts = iter(work_parts(factory))
    next(parts)
    Job.objects.filter(id=factory.id).update(started_at=timezone.now() - timedelta(seconds=30))
    answer = Client().get("/api/jobs").json()
    (shown,) = answer["under_way"]
    assert answer["results"] == []
    assert set(shown) == {"title", "state", "progress", "seconds_left", "started_at"}
    assert (shown["title"], shown["state"]) == ("4 lists", "waiting")
    assert shown["progress"] == {"stage": "lists", "done": 1, "total": 4}
    assert shown["seconds_left"] == pytest.approx(30 * (1 - 0.1875) / 0.1875, abs=2)


def test_an_open_job_can_be_cancelled_once_and_its_parts_with_it(api, requester) -> None:
    job = start("add up", arguments={"lists": [[1], [2]]}, requested_by=requester)
    working.run(working.claim(job.id))
    assert api.delete(f"/api/jobs/{job.id}").json()["state"] == "cancelled"
    assert {each.state for each in Job.objects.all()} == {State.CANCELLED}
    again = api.delete(f"/api/jobs/{job.id}")
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")
    assert "cancelled already" in again.json()["detail"]
    assert list(work()) == []


def test_what_a_worker_still_does_for_a_cancelled_job_comes_to_nothing(api, requester) -> None:
    job = start("add", arguments={"numbers": [1]}, requested_by=requester)
    claimed = working.claim(job.id)
    api.delete(f"/api/jobs/{job.id}")
    ended = working.run(claimed)
    assert (ended.state, ended.result) == (State.CANCELLED, None)


def test_nobody_elses_job_is_cancelled(api) -> None:
    job = start("add", arguments={"numbers": []}, requested_by="token:somebody")
    assert api.delete(f"/api/jobs/{job.id}").status_code == 404
    assert Job.objects.get().is_open


def work_parts(job: Job):
    for part in job.parts.order_by("part"):
        yield working.run(working.claim(part.id))
