"""A pair that is made in parts is the pair that one process makes alone."""

from pathlib import Path

import numpy as np
import pytest

from factory.alignment.fit import merged
from factory.cold_start import parts
from factory.cold_start.parts import made_in_parts, session_of
from factory.recipes import statistics
from factory.recipes.functional import generate_measured
from factory.session import FactorySession
from factory.slices import Slice, slices
from latentmas.jobs import handlers, working
from latentmas.jobs.commands import start
from latentmas.jobs.handlers import handler
from latentmas.jobs.models import Job, State
from tests.factory.recipes.test_functional import ORDER, folders, selection_of, session, suite_of, texts  # noqa: F401
from tests.work import work

pytest.importorskip("torch")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_files")]


@pytest.fixture
def kept_cache(own_files: Path) -> Path:
    """The session's, in which nothing was scored before a test."""
    return own_files / "cache"


@pytest.fixture
def whole(session: FactorySession, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: F811
    """A kind of job that makes the pair in parts, on the tiny models."""
    monkeypatch.setattr(parts, "_sessions", [session])
    monkeypatch.setattr(handlers, "_KINDS", dict(handlers._KINDS))

    @handler("test.pair", shares={"capture": 0.5, "gather": 0.1, "fit": 0.2, "score": 0.2})
    def make(run):
        made = made_in_parts(ORDER, run, session_of(run))
        return {"file": made.file, "retention": made.quality.information_retention}

    return "test.pair"


def test_it_is_the_pair_that_one_process_makes_alone(whole, session, settings) -> None:  # noqa: F811
    settings.FACTORY_SLICES = 3
    job = start(whole, arguments={}, requested_by="factory")
    *_, ended = work()
    assert (ended.id, ended.state) == (job.id, State.DONE)
    kinds = [each.kind for each in job.parts.all()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {parts.CAPTURE: 6, parts.DRAFT: 1, parts.SCORE: 3}
    alone = generate_measured(ORDER, session)  # finds the packs, and fits and measures again
    assert ended.result == {"file": alone.file, "retention": alone.quality.information_retention}


def test_a_worker_that_dies_costs_its_part_only(whole, settings) -> None:
    settings.FACTORY_SLICES = 2
    job = start(whole, arguments={}, requested_by="factory")
    working.run(working.claim(job.id))
    first = job.parts.order_by("part").first()
    assert working.claim(first.id) is not None
    Job.objects.filter(id=first.id).update(heartbeat=None)  # its worker is gone
    *_, ended = work()
    assert ended.state == State.DONE
    assert sorted(each.attempts for each in job.parts.filter(kind=parts.CAPTURE)) == [1, 1, 1, 2]


def test_statistics_gathered_in_slices_are_those_of_a_single_pass(session, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr("factory.packs.pairs.CHUNK_ROWS", 256)
    monkeypatch.setattr(statistics, "CHUNK_ROWS", 256)
    monkeypatch.setattr(statistics, "LEAST_ROWS", 700)
    packs = session.pack("one"), session.pack("two")
    count = statistics.slices_of(packs, at_most=8)
    assert count > 2
    standards = statistics.store_standards(packs)

    def gathered(part: Slice):
        stored = statistics.store_slice(packs, standards, part, progress=lambda _done, _total: None)
        return statistics.load_statistics(stored)

    whole, (first, *others) = gathered(Slice(0, 1)), map(gathered, slices(count))
    for other in others:
        first = merged(first, other)
    assert first.rows == whole.rows
    for ours, theirs in ((np.tril(first.gram), np.tril(whole.gram)), (first.cross, whole.cross)):
        mine, theirs = np.asarray(ours), np.asarray(theirs)
        assert np.abs(mine - theirs).max() <= 1e-6 * np.abs(theirs).max()


def test_a_pair_with_many_rows_gathers_statistics_in_parts(whole, settings, monkeypatch) -> None:
    settings.FACTORY_SLICES = 3
    for module in ("factory.packs.pairs", "factory.recipes.statistics"):
        monkeypatch.setattr(f"{module}.CHUNK_ROWS", 256)
    monkeypatch.setattr(statistics, "LEAST_ROWS", 700)
    job = start(whole, arguments={}, requested_by="factory")
    *_, ended = work()
    assert ended.state == State.DONE
    kinds = [each.kind for each in job.parts.all()]
    assert [kinds.count(kind) for kind in (parts.STANDARDS, parts.STATISTICS, parts.MERGE)] == [1, 3, 2]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_slices_hold_everything_once_and_in_order(count: int) -> None:
    items, weights = list(range(13)), [1, 1, 1, 1, 8, 8, 1, 1, 1, 1, 1, 1, 1]
    for given in (None, weights):
        assert [item for part in slices(count) for item in part.of(items, weights=given)] == items
    assert max(sum(weights[item] for item in part.of(items, weights=weights)) for part in slices(3)) <= 17
    assert Slice(0, 2).of([]) == []
