"""The compression benchmark on a tiny random model: every arm is judged, and bytes are counted."""

from dataclasses import replace

import numpy as np
import pytest

from awareness_sdk.configurations import geometry_of
from benchmarks.compression.arms import Arm, compressed
from benchmarks.compression.cases import Context, read_case, read_context
from benchmarks.compression.groups import arm_rows, read_group
from factory.codec.windows import Window
from factory.runners.model import RunningModel
from kvcache.adapters import ModelAdapter
from kvcache.compression.plan import Ratio
from tests.networks import llama

pytest.importorskip("torch")
pytest.importorskip("zstandard")  # of the benchmarks only
pytest.importorskip("transformers")
TOKENS, MORE, VOCABULARY = 200, 16, 90


@pytest.fixture(scope="module")
def model() -> RunningModel:
    network = llama(vocab_size=VOCABULARY, hidden_size=128, initializer_range=0.2)
    return RunningModel("tiny", "sha256:0", geometry_of(network.config), 1, network, None)


@pytest.fixture(scope="module")
def windows() -> list[Window]:
    ids = np.random.default_rng(2).integers(2, VOCABULARY, (2, TOKENS + MORE))
    return [Window("", tuple(row[:TOKENS]), tuple(row[TOKENS:])) for row in ids.tolist()]


@pytest.fixture
def adapter(model: RunningModel) -> ModelAdapter:
    return ModelAdapter(
        model="tiny",
        family="tiny",
        attention_type="causal",
        position_encoding="rope",
        rotation="undone",
        geometry=model.geometry,
        query_heads=4,
        scale=None,
        softcap=None,
        recommended_threshold=0.9,
    )


@pytest.fixture(scope="module")
def contexts(model: RunningModel, windows: list[Window]) -> list[Context]:
    return [read_context(model, window.context) for window in windows]


def peers(counted: Context) -> list[Arm]:
    from benchmarks.compression.peers import cachegen_tables, peer_arms

    return peer_arms(cachegen_tables([counted.snapshot]))


def test_every_arm_is_judged_on_every_document(model, windows, contexts, adapter) -> None:
    arms = [
        *peers(contexts[1]),
        Arm("quantise", lambda context: compressed(context, adapter, "quantise", None, None)),
        Arm("select", lambda context: compressed(context, adapter, "select", Ratio(3.0), None)),
    ]
    bounds, readings = read_group(model, windows, arms)
    rows = arm_rows(arms, bounds, readings, 1000)
    assert [row["documents"] for row in rows] == [len(windows)] * len(arms)
    for row in rows:
        assert row["ratio"] > 1
        for name, most in (("KL", np.inf), ("top-1", 1)):
            value, low, high = row[name]
            assert -1e-6 <= low <= value <= high <= most


def test_an_arm_that_refuses_has_no_figures(model, windows) -> None:
    arm = Arm("never", lambda context: None)
    bounds, readings = read_group(model, windows, [arm])
    assert arm_rows([arm], bounds, readings, 1000) == [{"arm": "never", "documents": 0}]


def test_the_full_cache_is_the_measure(model, windows) -> None:
    case = read_case(model, windows[0])
    assert case.own.shape == (MORE, VOCABULARY)
    assert case.context.queries.shape == (2, 64, 4, 32)


@pytest.mark.parametrize("name", ["KIVI 2 bit", "CacheGen", "float16 + zstd"])
def test_a_peer_restores_what_its_bytes_can_hold(contexts, name: str) -> None:
    snapshot = contexts[0].snapshot
    arm = next(arm for arm in peers(contexts[1]) if arm.name == name)
    made = arm.run(contexts[0])
    error = np.abs(made.restored.keys - snapshot.keys).mean() / np.abs(snapshot.keys).mean()
    assert 0 < made.size < snapshot.frame.raw_bytes
    assert error < {"KIVI 2 bit": 0.4, "CacheGen": 0.2, "float16 + zstd": 1e-3}[name]


def test_kivi_counts_two_bits_and_two_halves_a_group(contexts) -> None:
    snapshot = contexts[0].snapshot
    short = replace(contexts[0], snapshot=snapshot.select(np.arange(160)))  # one block of keys, 32 tokens of values
    made = peers(short)[0].run(short)
    numbers = 2 * 2 * 32  # a token's keys, or values
    coded, exact = (128 + 32) * numbers, (32 + 128) * numbers
    assert made.size == coded // 4 + coded // 32 * 4 + exact * 2
