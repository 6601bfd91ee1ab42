"""A run of the factory: its parts are the pairs that are due, and its report is an event."""

from datetime import timedelta

import pytest
from django.utils import timezone

from factory.cold_start import jobs
from factory.cold_start.jobs import due, start_run
from factory.distillation.maps import Origin, keep_map
from factory.events import FactoryRunFinished
from factory.tasks import weekly_run
from latentmas.events import store
from latentmas.jobs.models import Job, State
from latentmas.protocol.errors import ModelNotSupported
from latentmas.protocol.quality import Basis
from latentmas.runners.weights import PACKAGED_DIGESTS
from marketplace.listings.models import Listing
from tests.work import work

MODELS = ("gpt-4", "claude-3-opus", "smollm2-135m", "gemma-3-270m")
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def registry(load_models, own_files) -> None:
    load_models(*MODELS)


@pytest.fixture
def unmeasurable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every measured pair fail, for a reason that a run must report."""
    real = jobs.make

    def make(pair, *args, **kwargs):
        if pair.basis is Basis.FUNCTIONAL:
            raise ModelNotSupported("its weights are gone")
        return real(pair, *args, **kwargs)

    monkeypatch.setattr(jobs, "make", make)


def test_a_run_makes_what_is_due_and_reports_it_as_an_event(unmeasurable) -> None:
    job = start_run(hours=1)
    *_, ended = work()
    assert (ended.id, ended.state, ended.result) == (job.id, State.DONE, {"made": 2, "not_made": 2})
    (report,) = (each.data for each in store.read_stream(f"factory-run/{job.id}"))
    assert isinstance(report, FactoryRunFinished)
    assert {(each.source, each.basis, each.tier, each.was_ready) for each in report.made} == {
        ("gpt-4", Basis.SIMULATED, "-", False),
        ("claude-3-opus", Basis.SIMULATED, "-", False),
    }
    assert {(each.code, each.reason) for each in report.not_made} == {("MODEL_NOT_SUPPORTED", "its weights are gone")}
    assert Listing.objects.count() == 2


def test_a_second_run_leaves_out_the_simulated_pairs_that_are_listed(unmeasurable) -> None:
    start_run(hours=1)
    list(work())
    again = start_run(hours=1)
    assert again.arguments["simulated"] == []
    assert len(again.arguments["measured"]) == 2


def test_only_one_run_is_under_way_at_a_time() -> None:
    weekly_run()
    weekly_run()
    assert Job.objects.count() == 1


def test_after_the_runs_time_no_measured_pair_is_begun() -> None:
    job = start_run(hours=1)
    late = job.arguments | {"until": (timezone.now() - timedelta(seconds=1)).isoformat()}
    Job.objects.update(arguments=late)
    *_, ended = work()
    assert ended.result == {"made": 2, "not_made": 2}
    (report,) = (each.data for each in store.read_stream(f"factory-run/{job.id}"))
    assert {each.code for each in report.not_made} == {"DEADLINE_EXCEEDED"}


@pytest.mark.parametrize(("first", "second"), [MODELS[2:], MODELS[:1:-1]])
def test_the_pair_whose_weights_a_distilled_map_is_of_comes_first(monkeypatch, settings, first, second) -> None:
    monkeypatch.setitem(PACKAGED_DIGESTS, first, lambda: "a" * 64)
    monkeypatch.setitem(PACKAGED_DIGESTS, second, lambda: "b" * 64)
    keep_map({}, Origin("sha256:" + "a" * 64, "sha256:" + "b" * 64, {}), cache=settings.CACHE_DIR)
    assert [pair.source.name for pair in due(at=timezone.now()) if pair.basis is Basis.FUNCTIONAL] == [first, second]


def test_models_that_are_not_installed_have_no_distilled_map(monkeypatch) -> None:
    def absent() -> str:
        raise ModelNotSupported("it is not installed")

    for name in PACKAGED_DIGESTS:
        monkeypatch.setitem(PACKAGED_DIGESTS, name, absent)
    assert len(due(at=timezone.now())) == 4


def test_what_is_not_listed_comes_first_and_then_what_must_be_renewed(unmeasurable) -> None:
    at = timezone.now()
    start_run(hours=1)
    list(work())
    assert [pair.basis for pair in due(at=at)] == [Basis.FUNCTIONAL] * 2
    last = due(at=at)[1]
    listing = Listing.objects.first()
    listing.id = jobs._listing_id(last.source.name, last.target.name, Basis.FUNCTIONAL)
    listing.certified_until = at + timedelta(days=20)
    listing.save()
    assert due(at=at)[1].source.name == last.source.name  # listed, so behind the other one
    first = due(at=at)[0]
    listing.id = jobs._listing_id(first.source.name, first.target.name, Basis.FUNCTIONAL)
    listing.certified_until = at + timedelta(days=300)
    listing.save()
    assert due(at=at)[0].source.name == last.source.name  # to be renewed before the other is looked at again
