"""The job that screens what was published, and the one that it starts."""

import pytest

from latentmas.jobs.commands import start
from latentmas.jobs.models import Job, State
from marketplace.artefacts.models import Artefact
from marketplace.artefacts.publication import SCREEN
from marketplace.screening.jobs import MEASURE
from marketplace.texts.free_text import FreeText
from tests.marketplace.screening.sample import file_of, memory, published
from tests.work import work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registry")]


def screened(artefact_id):
    arguments = {"artefact_id": artefact_id, "version": "1.0.0"}
    start(SCREEN, arguments=arguments, requested_by="user:7")
    return next(work())


def test_a_version_that_passes_is_offered_and_then_measured(seller):
    artefact_id = published(seller, file_of(memory()))
    job = screened(artefact_id)
    waiting = Job.objects.get(kind=MEASURE)
    assert (job.state, job.result["offered"], job.result["uniqueness"]) == (State.DONE, True, 1.0)
    assert job.result["measurement_job"] == str(waiting.id)
    assert waiting.arguments == {"artefact_id": artefact_id, "version": "1.0.0"}
    assert Artefact.objects.get(id=artefact_id).version == "1.0.0"


def test_a_version_that_is_refused_is_not_measured(seller):
    job = screened(published(seller, file_of(memory()), title=FreeText("Of ada@engine.org")))
    assert (job.state, job.result["offered"]) == (State.DONE, False)
    assert job.result["findings"] == ["the title seems to hold an e-mail address, 3 characters in"]
    assert not Job.objects.filter(kind=MEASURE).exists()


def test_a_seller_with_too_many_open_jobs_is_offered_all_the_same(seller, settings):
    artefact_id = published(seller, file_of(memory()))
    settings.JOBS_OPEN = 1  # the screening itself
    job = screened(artefact_id)
    assert (job.state, job.result["measurement_job"]) == (State.DONE, None)
    assert "open jobs" in job.result["measurement_problem"]
    assert Artefact.objects.get(id=artefact_id).version == "1.0.0"


def test_an_unknown_version_fails_the_job(db):
    job = screened("unknown")
    assert (job.state, job.problem["code"]) == (State.FAILED, "NOT_FOUND")
