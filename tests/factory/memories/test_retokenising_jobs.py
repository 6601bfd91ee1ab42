"""What passes its screening is read in the tokens of certified targets, and what was on sale before by the schedule."""

from dataclasses import replace

import pytest
from django.utils import timezone

from factory import session
from factory.memories import jobs as measuring
from factory.memories import retokenising_jobs as jobs
from factory.runners import model as runners
from factory.tasks import retokenise_memories
from latentmas.jobs.commands import start
from latentmas.jobs.models import Job, State
from latentmas.protocol.snapshot import read_snapshot, write_snapshot
from latentmas.runners.weights import Weights
from marketplace.agents.commands import Profile, register_agent
from marketplace.artefacts.commands import withdraw
from marketplace.artefacts.models import Artefact, ArtefactVersion, Retokenised
from marketplace.artefacts.publication import SCREEN
from marketplace.artefacts.retokenising import RETOKENISE, read_for
from marketplace.listings.lifecycle.commands import By
from marketplace.memories.opening import OpenedMemory
from marketplace.sales.goods import Kind
from marketplace.screening import contents
from tests.factory.memories.test_retokenising import TEXT, PairTokenizer
from tests.marketplace.exchange.sample import certified_listing
from tests.marketplace.sample import METADATA, SOURCE, TARGET, with_suite
from tests.marketplace.screening.sample import published, read, without_ids
from tests.work import work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registry", "own_files")]
HERE = {SOURCE: "sha256:" + "a" * 64, TARGET: "sha256:" + "b" * 64}  # as the sample's W-Matrices name them


@pytest.fixture
def seller(alice):
    return register_agent(alice, Profile("alice-labs", "Alice"), metadata=METADATA).id


@pytest.fixture(autouse=True)
def _tiny_models_are_here(tiny, monkeypatch, tmp_path):
    """Let tiny models stand for the two of their names, whose geometry the registry has."""
    models = {SOURCE: tiny, TARGET: replace(tiny, name=TARGET, tokenizer=PairTokenizer())}
    here = lambda name, **_: Weights(name, tmp_path, HERE[name])  # noqa: E731
    for module in (session, jobs, measuring):  # the retention is measured beside
        monkeypatch.setattr(module, "find_weights", here)
    monkeypatch.setattr(jobs, "installed_models", lambda: [SOURCE, TARGET])
    monkeypatch.setattr(runners, "load_model", lambda weights: models[weights.model])
    monkeypatch.setattr(contents, "snapshot_in", lambda data, model: read_snapshot(data)[0])
    monkeypatch.setattr(
        jobs, "open_memory", lambda data, **_: OpenedMemory(None, SOURCE, read_snapshot(data)[0].frame, "raw", None)
    )


def on_sale(seller, snapshot):
    artefact_id = published(seller, write_snapshot(snapshot))
    start(SCREEN, arguments={"artefact_id": artefact_id, "version": "1.0.0"}, requested_by="user:7")
    return artefact_id


def done(kind=RETOKENISE):
    """Do all that waits, and return the jobs of a kind."""
    return [job for job in work() if job.kind == kind]


def test_a_version_is_read_when_it_has_passed_its_screening(seller, tiny):
    certified_listing(at=timezone.now(), quality=with_suite())
    artefact_id = on_sale(seller, read(tiny, TEXT))
    (job,) = done()
    assert (job.state, job.result) == (State.DONE, {"versions": 1, "made": 1, "not_made": 0, "reasons": []})
    row = Retokenised.objects.get()
    assert (row.target_model, row.target_weights, row.tokens) == (TARGET, HERE[TARGET], 22)
    version = ArtefactVersion.objects.get()
    assert row.memory == version.file_digest
    (found,) = read_for([version], Kind.MEMORY)[version.id]
    assert (found.model, found.known, found.reason) == (TARGET, True, None)
    assert Artefact.objects.get().id == artefact_id


def test_a_memory_without_ids_has_a_reason_and_is_not_tried_again(seller, tiny):
    certified_listing(at=timezone.now(), quality=with_suite())
    on_sale(seller, without_ids(read(tiny, TEXT)))
    (job,) = done()
    assert job.result["reasons"] == ["the file does not say which tokens the memory is of"]
    assert not Retokenised.objects.get().known
    retokenise_memories()
    assert not done()


def test_the_schedule_fills_in_for_a_w_matrix_that_is_certified_later(seller, tiny):
    on_sale(seller, read(tiny, TEXT))
    assert not done()
    certified_listing(at=timezone.now(), quality=with_suite())
    retokenise_memories()
    (job,) = done()
    assert (job.requested_by, job.result["made"]) == ("factory", 1)
    retokenise_memories()
    assert not done()


def test_nothing_is_read_for_weights_that_are_not_here(seller, tiny, monkeypatch):
    certified_listing(at=timezone.now(), quality=with_suite())
    monkeypatch.setitem(HERE, TARGET, "sha256:" + "c" * 64)
    on_sale(seller, read(tiny, TEXT))
    (job,) = done()
    assert (job.result["made"], job.result["not_made"]) == (0, 1)
    assert "the weights of gemma-3-270m here are sha256:cc" in job.result["reasons"][0]
    assert not Retokenised.objects.exists()
    retokenise_memories()
    assert not Job.objects.filter(kind=RETOKENISE, state=State.QUEUED).exists()


def test_what_is_withdrawn_is_forgotten(seller, tiny):
    certified_listing(at=timezone.now(), quality=with_suite())
    artefact_id = on_sale(seller, read(tiny, TEXT))
    done()
    withdraw(artefact_id, reason="Enough.", by=By(seller, METADATA))
    retokenise_memories()
    assert not Retokenised.objects.exists()
