"""The measurement behind `ttft_ms`: both ways end with the same token, and only the right weights are run."""

from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from factory import first_token
from factory.demonstration import arms
from factory.runners import model as runners
from factory.runners.model import RunningModel
from kvcache.compression.compressor import compress, decompress
from kvcache.server.first_token import Asked, Times
from kvcache.server.queries import get_adapter
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.runners.weights import Weights, find_weights
from tests.tiny import NAME, WEIGHTS, text, tiny_model


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunningModel:
    """The tiny model, in the place of one whose weights are installed."""
    tiny = tiny_model()
    monkeypatch.setattr(first_token, "find_weights", lambda name, **_options: Weights(name, tmp_path, WEIGHTS))
    monkeypatch.setattr(runners, "load_model", lambda weights: tiny)
    return tiny


def asked(snapshot: KVSnapshot, **changes: object) -> Asked:
    assert snapshot.frame.token_ids is not None
    facts = {"model": NAME, "weights": WEIGHTS, "token_ids": snapshot.frame.token_ids.tolist()}
    return Asked(**(facts | changes), unpack=lambda: snapshot)  # type: ignore[arg-type]


@pytest.fixture
def memory(loaded: RunningModel) -> KVSnapshot:
    return loaded.remember(loaded.encode(text(60, seed=1)))


def test_both_ways_lead_to_the_same_token(loaded, memory, monkeypatch):
    said: list[tuple[int, ...]] = []

    def generate(model, ways, question):
        said.extend(arms.generated(model, each.start(), question, tokens=3) for each in ways)
        return [250.0, 12.5]

    monkeypatch.setattr(arms, "first_token_times", generate)
    assert first_token.measure(asked(memory)) == Times(ttft_ms=12.5, prefill_ttft_ms=250.0)
    assert said[0] == said[1]


def test_times_are_those_of_the_work(loaded, memory, monkeypatch):
    import time

    started = arms.start_of

    def slow(model, snapshot):
        time.sleep(0.3)
        return started(model, snapshot)

    monkeypatch.setattr(arms, "start_of", slow)
    found = first_token.measure(asked(memory))
    assert found.ttft_ms > 300 > found.prefill_ttft_ms > 0


def test_other_weights_are_not_run(loaded, memory):
    with pytest.raises(ModelNotSupported, match="the weights of smollm2-135m here are sha256:7e"):
        first_token.measure(asked(memory, weights="sha256:" + "a" * 64))


@pytest.mark.parametrize("wrong", [-1, 300])
def test_tokens_that_the_model_does_not_have(loaded, memory, wrong):
    with pytest.raises(InvalidInput, match="outside of 0 to 299"):
        first_token.measure(asked(memory, token_ids=[0, wrong]))


def test_weights_are_not_converted_for_it(tmp_path):
    with pytest.raises(ModelNotSupported, match="have not been converted here yet"):
        find_weights("smollm2-135m", cache=tmp_path, convert=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.models
@pytest.mark.django_db
def test_a_real_model_speaks_sooner_from_its_compressed_cache(smollm2, load_models):
    load_models("smollm2-135m")
    snapshot = smollm2.remember(smollm2.encode("The harbour master keeps a short report of each week. " * 40))
    data = compress(snapshot, adapter=get_adapter("smollm2-135m"), method="quantise").data
    assert find_weights("smollm2-135m", cache=settings.CACHE_DIR).digest == snapshot.frame.weights
    found = first_token.measure(
        Asked("smollm2-135m", smollm2.weights, np.asarray(snapshot.frame.token_ids).tolist(), lambda: decompress(data))
    )
    assert 0 < found.ttft_ms < found.prefill_ttft_ms
