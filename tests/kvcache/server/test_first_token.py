"""Time to the first token over REST: measured by whoever has registered for it, otherwise null with the reason."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.test import Client

from kvcache.server import first_token
from kvcache.server.first_token import Asked, Times
from kvcache.server.payloads import Given, to_file
from latentmas.protocol.errors import ModelNotSupported
from latentmas.protocol.snapshot import KVSnapshot

pytestmark = pytest.mark.django_db
FILE = "application/vnd.safetensors"
BENCHMARK = "/api/kv-cache/benchmark"


@pytest.fixture
def read(cache: KVSnapshot) -> KVSnapshot:
    """The cache of tokens that it names."""
    return replace(cache, frame=replace(cache.frame, token_ids=np.arange(cache.frame.tokens, dtype=np.int32)))


@pytest.fixture
def measurer(monkeypatch: pytest.MonkeyPatch) -> Callable[[first_token.Measure], None]:
    return lambda measure: monkeypatch.setattr(first_token, "_measurers", [measure])


@pytest.fixture
def metrics(api: Client) -> Callable[..., dict[str, Any]]:
    def measured(snapshot: KVSnapshot, *, measure_ttft: str = "true", **query: str) -> dict[str, Any]:
        options = "&".join(f"{name}={value}" for name, value in query.items())
        address = f"{BENCHMARK}?repetitions=1&method=quantise&measure_ttft={measure_ttft}&{options}"
        response = api.post(address, to_file(Given(snapshot)), FILE)
        assert response.status_code == 200, response.content
        return dict(response.json()["metrics"])

    return measured


def test_it_is_measured_from_the_compressed_cache_and_the_tokens(metrics, measurer, read):
    given: list[Asked] = []

    def measure(asked: Asked) -> Times:
        given.append(asked)
        return Times(ttft_ms=12.5, prefill_ttft_ms=250.0)

    measurer(measure)
    found = metrics(read)
    assert (found["ttft_ms"], found["prefill_ttft_ms"], found["ttft_reason"]) == (12.5, 250.0, None)
    (asked,) = given
    assert (asked.model, asked.weights) == ("smollm2-135m", read.frame.weights)
    assert asked.token_ids == list(range(read.frame.tokens))
    unpacked = asked.unpack()
    assert unpacked is not asked.unpack()
    # What was coded, not what was given.
    assert np.corrcoef(unpacked.keys.ravel(), read.keys.ravel())[0, 1] > 0.99
    assert not np.array_equal(unpacked.keys, read.keys)
    assert metrics(read, keys="camel")["prefillTtft"] == 250.0


def without(snapshot: KVSnapshot, **changes: Any) -> KVSnapshot:
    return replace(snapshot, frame=replace(snapshot.frame, **changes))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda it: without(it, weights=None), "the cache does not say which weights made it"),
        (lambda it: without(it, token_ids=None), "the cache does not say its token ids, which a prefill would read"),
        (lambda it: it.select(np.arange(0, 30, 2)), "the cache lacks 15 tokens of its context"),
    ],
)
def test_what_a_prefill_needs_must_be_known(metrics, measurer, read, change, reason):
    measurer(lambda asked: pytest.fail("nothing may be run"))
    found = metrics(change(read))
    assert (found["ttft_ms"], found["prefill_ttft_ms"]) == (None, None)
    assert found["ttft_reason"].startswith(reason)


def test_a_model_that_does_not_run_here(metrics, measurer, read):
    def refuse(asked: Asked) -> Times:
        raise ModelNotSupported("no weights of it are installed")

    measurer(refuse)
    found = metrics(read)
    assert (found["ttft_ms"], found["ttft_reason"]) == (None, "the model was not run: no weights of it are installed")


def test_a_server_that_runs_no_models(metrics, monkeypatch, read):
    monkeypatch.setattr(first_token, "_measurers", [])
    assert metrics(read)["ttft_reason"] == "nothing on this server runs models"


def test_it_is_measured_only_where_it_is_asked_for(metrics, measurer, read, api):
    measurer(lambda asked: pytest.fail("nothing may be run"))
    reason = "not asked for: only a benchmark with measure_ttft runs the model"
    assert metrics(read, measure_ttft="false")["ttft_reason"] == reason
    compressed = api.post("/api/kv-cache/compress?method=quantise", to_file(Given(read)), FILE).json()
    assert (compressed["metrics"]["ttft_ms"], compressed["metrics"]["ttft_reason"]) == (None, reason)


def test_plain_arrays_are_no_models_cache(api, measurer):
    measurer(lambda asked: pytest.fail("nothing may be run"))
    arrays = np.random.default_rng(0).normal(size=(2, 40, 8)).tolist()
    body = {"modelName": "gpt-4", "keys": arrays[0], "values": arrays[1], "queries": arrays[0][:2]}
    response = api.post(BENCHMARK, body | {"measureTtft": True, "repetitions": 1}, "application/json")
    assert response.json()["metrics"]["ttft_reason"] == "plain arrays are no model's cache"


def test_one_measurement_runs_at_a_time(metrics, measurer, read):
    measurer(lambda asked: Times(1.0, 2.0))
    with first_token._one_at_a_time:
        assert metrics(read)["ttft_reason"].startswith("another measurement is running a model here")
    assert metrics(read)["ttft_ms"] == 1.0


def test_a_measurement_that_fails_lets_the_next_one_run(api, measurer, read, metrics):
    def fail(asked: Asked) -> Times:
        raise RuntimeError("out of memory")

    measurer(fail)
    with pytest.raises(RuntimeError):
        metrics(read)
    measurer(lambda asked: Times(1.0, 2.0))
    assert metrics(read)["ttft_ms"] == 1.0
