"""KVTC's recipe: plans hold their budget and are the best, and what is coded comes back."""

import itertools

import numpy as np
import pytest

from awareness_sdk.configurations import geometry_of
from factory.codec.windows import Window
from factory.runners.model import RunningModel
from tests.networks import llama

pytest.importorskip("torch")
pytest.importorskip("transformers")
from benchmarks.compression import bit_plans, kvtc
from benchmarks.compression.cases import Context, read_context

TOKENS, VOCABULARY = 200, 90


def samples(cells: int, rows: int = 40) -> np.ndarray:
    falling = 10 * 0.93 ** np.arange(cells * bit_plans.CELL)
    return (np.random.default_rng(3).normal(size=(rows, len(falling))) * falling).astype(np.float32)


def taken(runs: tuple[bit_plans.Run, ...]) -> int:
    return sum(bit_plans.CELL * bit_plans.price_of((run.last - run.first) // bit_plans.CELL, run.kind) for run in runs)


@pytest.mark.parametrize("bits", [0, 100, 512, 2000])
def test_a_plan_covers_the_components_within_its_bits(bits: int) -> None:
    rows = samples(12)
    runs = bit_plans.plan(bit_plans.costs_of(rows, rows.std(0)), cells=12, bits=bits)
    assert [run.first for run in runs] == [0, *(run.last for run in runs[:-1])]
    assert runs[-1].last == rows.shape[1]
    assert taken(runs) <= bits


def test_no_other_plan_has_a_smaller_error() -> None:
    rows, bits, cells = samples(3), 450, 3
    costs = bit_plans.costs_of(rows, rows.std(0))
    runs = bit_plans.plan(costs, cells=cells, bits=bits)
    found = sum(costs[run.first // 16, (run.last - run.first) // 16, run.kind] for run in runs)
    errors = []
    for kinds in itertools.product(bit_plans.BITS, repeat=cells):  # three runs of one cell: a longer one does not fit
        if sum(16 * bit_plans.price_of(1, kind) for kind in kinds) <= bits:
            errors.append(sum(costs[cell, 1, kind] for cell, kind in enumerate(kinds)))
    assert found == pytest.approx(min(errors))


@pytest.mark.parametrize(("kind", "size"), [("int2", 4 + 4), ("int4", 8 + 4), ("float8", 16), ("float16", 32)])
def test_a_run_takes_the_bytes_of_its_bits(kind: bit_plans.Kind, size: int) -> None:
    rows = samples(1)
    made = bit_plans.code(rows, kind, rows.std(0))
    assert len(made.packed()) == size * len(rows)
    assert np.square(made.restored - rows).mean() < 0.2 * np.square(rows).mean()


@pytest.fixture(scope="module")
def model() -> RunningModel:
    network = llama(vocab_size=VOCABULARY, hidden_size=128, initializer_range=0.2)
    return RunningModel("tiny", "sha256:0", geometry_of(network.config), 1, network, None)


@pytest.fixture(scope="module")
def windows() -> list[Window]:
    ids = np.random.default_rng(2).integers(2, VOCABULARY, (3, TOKENS))
    return [Window("", tuple(row), ()) for row in ids.tolist()]


@pytest.fixture(scope="module")
def context(model: RunningModel, windows: list[Window]) -> Context:
    return read_context(model, windows[0].context)


def test_more_bits_restore_more_and_exact_tokens_are_exact(model, windows, context) -> None:
    sides = kvtc.fitted_sides(model, windows[1:])
    fine, coarse = (made for arm in kvtc.kvtc_arms(sides)[1:3] if (made := arm.run(context)) is not None)
    own = context.snapshot.keys
    errors = [np.square(made.restored.keys - own).mean() for made in (fine, coarse)]
    assert errors[0] < errors[1] < np.square(own).mean()
    assert coarse.size < fine.size < context.snapshot.frame.raw_bytes
    exact = slice(0, kvtc.SINKS)
    assert np.array_equal(fine.restored.keys[:, exact], own[:, exact].astype(np.float16))


def test_recent_tokens_stay_exact_where_the_paper_keeps_them(model, windows, context) -> None:
    published = kvtc.kvtc_arms(kvtc.fitted_sides(model, windows[1:]))[0].run(context)
    assert published is not None
    recent = slice(-kvtc.RECENT, None)
    assert np.array_equal(published.restored.values[:, recent], context.snapshot.values[:, recent].astype(np.float16))
    frame = context.snapshot.frame
    assert published.size > (kvtc.SINKS + kvtc.RECENT) * frame.geometry.width * 2


def test_the_bases_are_kept(model, windows, tmp_path) -> None:
    kept = kvtc.kept_sides(model, lambda: windows, tmp_path / "bases.npz")
    again = kvtc.kept_sides(model, list, tmp_path / "bases.npz")  # no windows: nothing may be fitted
    assert np.array_equal(kept[1].basis, again[1].basis)
