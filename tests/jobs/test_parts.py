"""Parts of a job are done by whichever worker is free; the job goes on when all have ended."""

import pytest
from django.utils import timezone

from latentmas.jobs import upkeep, working
from latentmas.jobs.commands import start
from latentmas.jobs.handlers import handler
from latentmas.jobs.holdings import named_by_open_jobs
from latentmas.jobs.models import STALE_AFTER, Job, State
from tests.work import work

pytestmark = pytest.mark.django_db


def add_up(*lists: list[int]) -> Job:
    return start("add up", arguments={"lists": list(lists)}, requested_by="token:a")


def test_a_job_is_done_in_parts() -> None:
    job = add_up([1, 2], [3], [4, 5])
    *_, ended = work()
    assert (ended.id, ended.state, ended.result["sum"]) == (job.id, State.DONE, 15)
    assert sorted(each.result["sum"] for each in job.parts.all()) == [3, 3, 9, 15]
    assert ended.attempts == 1


def test_while_its_parts_are_done_its_worker_is_free_and_its_progress_adds_up() -> None:
    job = working.run(working.claim(add_up([1], [2], [3]).id))
    assert (job.state, job.claim, job.stage, job.done, job.total) == (State.WAITING, None, "lists", 0, 3)
    working.run(working.claim(job.parts.order_by("part")[0].id))
    job.refresh_from_db()
    assert (job.state, job.done) == (State.WAITING, 1)
    assert working.claim(job.id) is None


def test_a_part_whose_worker_died_costs_that_part_only() -> None:
    job = working.run(working.claim(add_up([1], [2]).id))
    first, second = job.parts.order_by("part")
    assert working.run(working.claim(second.id)).state == State.DONE
    assert working.claim(first.id) is not None
    Job.objects.filter(id=first.id).update(heartbeat=timezone.now() - 2 * STALE_AFTER)
    *_, ended = work()
    first.refresh_from_db()
    assert (ended.result["sum"], first.attempts) == (3, 2)


def test_a_part_that_fails_fails_the_job_with_its_problem() -> None:
    @handler("hopeless")
    def hopeless(run):
        from latentmas.jobs.handlers import results_of

        return results_of(run.each("refuse", [{}]))[0]

    start("hopeless", arguments={}, requested_by="token:a")
    *_, ended = work()
    assert (ended.state, ended.problem["code"], ended.problem["field"]) == (State.FAILED, "INVALID_INPUT", "numbers")


def test_a_job_whose_last_message_was_lost_goes_on() -> None:
    job = working.run(working.claim(add_up([1]).id))
    for part in job.parts.all():
        Job.objects.filter(id=part.id).update(state=State.DONE, result={"sum": 1})  # ended, and nobody was told
    upkeep.send_lost_again()
    *_, ended = work()
    assert ended.result["sum"] == 1


def test_parts_do_not_count_as_open_jobs_of_their_requester(settings) -> None:
    settings.JOBS_OPEN = 2
    working.run(working.claim(add_up([1], [2], [3]).id))
    assert start("add", arguments={"numbers": [1]}, requested_by="token:a").is_open


def test_what_a_part_has_left_for_others_is_not_swept_while_the_job_is_open() -> None:
    digest = "sha256:" + "a" * 64

    @handler("leave")
    def leave(run):
        return {"file": digest}

    @handler("two steps")
    def two_steps(run):
        run.each("leave", [{}])
        return {"sum": run.each("add", [{"numbers": [1]}])[0].result["sum"]}

    job = start("two steps", arguments={}, requested_by="token:a")
    working.run(working.claim(job.id))
    working.run(working.claim(job.parts.get().id))
    assert named_by_open_jobs(frozenset({digest, "sha256:" + "b" * 64})) == {digest}
    list(work())
    assert named_by_open_jobs(frozenset({digest})) == frozenset()
