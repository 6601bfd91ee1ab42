"""What the schedule does: nothing that was lost stays lost, nothing stays open for ever."""

from datetime import timedelta

import pytest
from django.utils import timezone

from latentmas.jobs import sending, upkeep, working
from latentmas.jobs.commands import start
from latentmas.jobs.models import STALE_AFTER, Job, State
from tests.work import work

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    messages: list[Job] = []
    monkeypatch.setattr(sending, "send", messages.append)
    return messages


def add() -> Job:
    return start("add", arguments={"numbers": [1]}, requested_by="token:a")


def test_a_job_whose_message_never_went_out_is_sent(sent) -> None:
    job = add()
    upkeep.send_lost_again()
    assert sent == []
    Job.objects.update(created_at=timezone.now() - 2 * STALE_AFTER)
    assert upkeep.send_lost_again() == 1
    assert sent == [job]


def test_a_message_may_wait_for_a_while(sent) -> None:
    add()
    Job.objects.update(created_at=timezone.now() - timedelta(hours=1), sent_at=timezone.now() - timedelta(minutes=4))
    assert upkeep.send_lost_again() == 0
    Job.objects.update(sent_at=timezone.now() - upkeep.RESEND_AFTER)
    assert upkeep.send_lost_again() == 1


def test_a_job_whose_worker_has_died_is_sent_again(sent) -> None:
    job = working.claim(add().id)
    Job.objects.update(sent_at=timezone.now() - 2 * STALE_AFTER)
    assert upkeep.send_lost_again() == 0
    Job.objects.update(heartbeat=timezone.now() - 2 * STALE_AFTER)
    assert upkeep.send_lost_again() == 1
    assert sent == [job]


def test_a_job_past_its_deadline_fails_and_its_parts_are_cancelled() -> None:
    job = working.run(
        working.claim(start("add up", arguments={"lists": [[1], [2]]}, requested_by="token:a").id),
    )
    assert upkeep.end_overdue() == 0
    Job.objects.update(deadline=timezone.now() - timedelta(seconds=1))
    assert upkeep.end_overdue() == 1
    job.refresh_from_db()
    assert (job.state, job.problem["code"], job.problem["status"]) == (State.FAILED, "DEADLINE_EXCEEDED", 504)
    assert {each.state for each in job.parts.all()} == {State.CANCELLED}


def test_ended_jobs_are_deleted_after_a_month() -> None:
    old = add()
    list(work())
    Job.objects.update(finished_at=timezone.now() - timedelta(days=31))
    new = add()
    upkeep.delete_old()
    assert [each.id for each in Job.objects.all()] == [new.id] != [old.id]
