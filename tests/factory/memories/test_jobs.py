"""The factory's job runs the model that made a memory on sale, and records what it measured."""

import pytest

from factory.memories import jobs
from factory.runners import model as runners
from latentmas.jobs.commands import start
from latentmas.jobs.models import State
from latentmas.protocol.snapshot import write_snapshot
from latentmas.runners.weights import Weights
from marketplace.agents.commands import Profile, register_agent
from marketplace.artefacts.models import Artefact
from marketplace.artefacts.publication import SCREEN
from marketplace.screening import contents
from tests.marketplace.sample import METADATA
from tests.marketplace.screening.sample import published, read, without_ids
from tests.tiny import WEIGHTS, text
from tests.work import work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registry", "own_files")]


@pytest.fixture
def seller(alice):
    return register_agent(alice, Profile("alice-labs", "Alice"), metadata=METADATA).id


@pytest.fixture(autouse=True)
def _tiny_is_the_model(tiny, monkeypatch, tmp_path):
    """Let the tiny model stand for the one of its name, whose geometry the registry has."""
    monkeypatch.setattr(jobs, "find_weights", lambda name, cache: Weights(name, tmp_path, WEIGHTS))
    monkeypatch.setattr(runners, "load_model", lambda weights: tiny)
    monkeypatch.setattr(contents, "snapshot_in", lambda data, model: _opened(data))


def _opened(data):
    from latentmas.protocol.snapshot import read_snapshot

    return read_snapshot(data)[0]


def measured(seller, snapshot):
    """Publish a memory, do all that waits, and return its artefact and the last job."""
    artefact_id = published(seller, write_snapshot(snapshot))
    start(SCREEN, arguments={"artefact_id": artefact_id, "version": "1.0.0"}, requested_by="user:7")
    *_, last = work()
    return Artefact.objects.get(id=artefact_id), last


def test_what_was_measured_stands_on_the_card_beside_what_the_screening_found(seller, tiny):
    artefact, job = measured(seller, read(tiny, text(400, seed=3)))
    assert (job.state, job.result["places"]) == (State.DONE, 8)
    assert job.result["retention"]["value"] == pytest.approx(1, abs=1e-4)
    assert artefact.retention == pytest.approx(job.result["retention"])
    assert artefact.uniqueness == 1.0


def test_what_cannot_be_measured_has_no_figure_and_a_reason(seller, tiny):
    artefact, job = measured(seller, without_ids(read(tiny, text(400, seed=3))))
    assert (job.state, job.result["retention"]) == (State.DONE, None)
    assert job.result["reason"] == "the file does not say which tokens the memory is of"
    assert (artefact.version, artefact.retention) == ("1.0.0", None)


def test_a_model_that_cannot_be_run_here_is_a_reason(seller, tiny, monkeypatch):
    from latentmas.protocol.errors import ModelNotSupported

    def absent(name, cache):
        raise ModelNotSupported(f"no weights of {name} are installed")

    monkeypatch.setattr(jobs, "find_weights", absent)
    artefact, job = measured(seller, read(tiny, text(400, seed=3)))
    assert job.result["reason"] == "no weights of smollm2-135m are installed"
    assert (artefact.version, artefact.retention) == ("1.0.0", None)
