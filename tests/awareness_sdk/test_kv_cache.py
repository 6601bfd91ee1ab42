"""Every call of the client against a running server."""

from pathlib import Path

import numpy as np
import pytest

from awareness_sdk import AwarenessClient, AwarenessError
from awareness_sdk.errors import Conflict, InvalidRequest, NotAuthenticated, NotFound, ServerUnreachable
from kvcache.server.commands import publish_profile
from kvcache.server.events import CodecProfilePublished
from kvcache.streaming.receiver import decode_stream
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.quality import Basis, Corpus

pytestmark = pytest.mark.django_db(transaction=True)
TOKENS, DIM = 100, 16


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "keys": rng.normal(size=(TOKENS, DIM)).round(3),
        "values": rng.normal(size=(TOKENS, DIM)).round(3),
        "queries": 4 * rng.normal(size=(4, DIM)).round(3),
    }


@pytest.fixture
def cache() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=(30, 24, 3, 64)).astype(np.float16) for name in ("keys", "values")}


def published() -> str:
    digest = blobs.put_bytes(b"a profile")
    profile = CodecProfilePublished(
        digest=digest,
        size=9,
        model="smollm2-135m",
        weights="sha256:" + "a" * 64,
        version="1.0.0",
        width=11_520,
        corpus=Corpus("lee", "sha256:" + "c" * 64, 80),
        basis=Basis.FUNCTIONAL,
    )
    publish_profile(profile, metadata=Metadata(actor="test"))
    return digest


def test_the_specifications_example_works_as_it_is_written(client, arrays, capsys):
    keys, values, queries = arrays["keys"].tolist(), arrays["values"].tolist(), arrays["queries"].tolist()
    result = client.kv_cache.compress(model_name="gpt-4", keys=keys, values=values, queries=queries)
    print(f"Compression ratio: {result['metrics']['compressionRatio']:.2%}")
    print(f"Bandwidth savings: {result['metrics']['bandwidthSavingsPercent']:.2f}%")
    ratio, savings = capsys.readouterr().out.split()[2::3]
    assert float(ratio[:-1]) == pytest.approx(float(savings[:-1]), abs=0.01)


def test_metrics_answer_both_spellings(client, arrays):
    metrics = client.kv_cache.compress(model_name="gpt-4", **arrays)["metrics"]
    assert metrics["compressionRatio"] == metrics["compression_ratio"] == pytest.approx(1 - 1 / metrics["ratio"])
    assert metrics["ttft"] is None
    assert metrics.get("tokenSavings") == metrics["token_savings"]
    assert "cumulativeAttention" in metrics
    assert "noSuchThing" not in metrics
    assert metrics.get("noSuchThing", 3) == 3
    with pytest.raises(KeyError):
        metrics["noSuchThing"]


def test_plain_arrays_come_back_at_their_positions(client, arrays):
    result = client.kv_cache.compress(model_name="gpt-4", attention_threshold=0.5, **arrays)
    back = client.kv_cache.decompress(result)
    assert back["positions"].tolist() == result["kept"]
    np.testing.assert_allclose(back["keys"], arrays["keys"][result["kept"]], atol=2e-3)
    assert back["metrics"]["decompressionTimeMs"] > 0


def test_large_arrays_travel_as_a_file_and_give_the_same(client, arrays, monkeypatch):
    small = client.kv_cache.compress(model_name="gpt-4", **arrays)
    monkeypatch.setattr("awareness_sdk.snapshots.MAX_JSON_NUMBERS", 10)
    large = client.kv_cache.compress(model_name="gpt-4", **arrays)
    assert large["compressed"] == small["compressed"]
    assert (large["method"], large["digest"]) == (small["method"], small["digest"])
    assert large["metrics"]["compressionRatio"] == small["metrics"]["compressionRatio"]


def test_a_models_cache_comes_back(client, cache):
    result = client.kv_cache.compress(model_name="smollm2-135m", ratio=3, **cache)
    back = client.kv_cache.decompress(result["compressed"])
    assert (back["model"], back["keys"].shape) == ("smollm2-135m", (30, 24, 3, 64))
    again = client.kv_cache.compress(model_name="smollm2-135m", snapshot=back["snapshot"], method="raw")
    assert again["metrics"]["ratio"] < 1.5


def test_quality_is_judged_with_and_without_the_original(client, arrays, cache):
    result = client.kv_cache.compress(model_name="gpt-4", attention_threshold=0.5, **arrays)
    assert client.kv_cache.validate_quality(result, model_name="gpt-4")["figures"]["information_loss"] is None
    judged = client.kv_cache.validate_quality(result, model_name="gpt-4", **arrays)
    assert judged["figures"]["information_loss"] > 0
    large = client.kv_cache.compress(model_name="smollm2-135m", method="quantise", **cache)
    queries = np.random.default_rng(2).normal(size=(30, 3, 9, 64)).astype(np.float32)
    judged = client.kv_cache.validate_quality(large, model_name="smollm2-135m", queries=queries, **cache)
    assert judged["loss_from"] == "attention_output_error"


def test_a_benchmark_gives_medians(client, arrays):
    result = client.kv_cache.benchmark(model_name="gpt-4", repetitions=2, **arrays)
    assert result["repetitions"] == 2
    assert result["metrics"]["compressionTimeMs"] == result["compression_time_ms"]["median"]


@pytest.mark.parametrize("call", ["compress", "benchmark"])
def test_an_option_that_does_not_exist_is_refused_by_name(client, arrays, call):
    with pytest.raises(AwarenessError, match="treshold"):
        getattr(client.kv_cache, call)(model_name="gpt-4", treshold=0.5, **arrays)


@pytest.mark.parametrize("original", [True, False])
def test_judging_refuses_an_option_that_does_not_exist(client, arrays, original):
    result = client.kv_cache.compress(model_name="gpt-4", **arrays)
    with pytest.raises(AwarenessError, match="treshold"):
        client.kv_cache.validate_quality(result, model_name="gpt-4", treshold=0.5, **(arrays if original else {}))


def test_models_estimates_and_statistics_can_be_read(client):
    assert {"gpt-4", "smollm2-135m"} <= {each["name"] for each in client.kv_cache.supported_models()}
    assert client.kv_cache.model_adapter("smollm2-135m")["geometry"]["layers"] == 30
    assert client.kv_cache.estimate_savings(model_name="smollm2-135m", tokens=100)["rests_on"] == "nothing"
    assert client.kv_cache.statistics()["totals"]["runs"] == 0


def test_a_profile_is_downloaded_and_checked(client, tmp_path: Path):
    digest = published()
    (row,) = client.kv_cache.profiles("smollm2-135m")
    path = client.kv_cache.download_profile(row["digest"], tmp_path / "profile.safetensors")
    assert path.read_bytes() == b"a profile"
    assert row["digest"] == digest
    (next((tmp_path / "blobs").rglob("*" + digest[10:]))).write_bytes(b"something")
    with pytest.raises(AwarenessError, match="WRONG_DIGEST"):
        client.kv_cache.download_profile(digest, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_stream_goes_chunk_by_chunk(client, arrays):
    stream = client.kv_cache.open_stream(model_name="gpt-4", method="quantise")
    for start in range(0, TOKENS, 40):
        stream.put(arrays["keys"][start : start + 40], arrays["values"][start : start + 40])
    assert stream.state["tokens"] == TOKENS
    result = stream.finish()
    assert client.kv_cache.decompress(result)["positions"].tolist() == list(range(TOKENS))
    assert result["metrics"]["bandwidthSavingsBytes"] == result["metrics"]["bandwidth_savings_bytes"]


def test_a_stream_of_a_models_cache_may_be_taken_as_messages(client, cache):
    stream = client.kv_cache.open_stream(model_name="smollm2-135m", method="quantise", chunk_size=8)
    for start in (0, 10):
        part = slice(start, start + 10 if start == 0 else 24)
        stream.put(cache["keys"][:, part], cache["values"][:, part])
    assert decode_stream([stream.finish_as_messages()]).frame.tokens == 24
    with pytest.raises(NotFound):
        stream.finish()


def test_a_refusal_names_the_field_and_what_is_allowed(client, arrays):
    with pytest.raises(InvalidRequest, match=r"\[INVALID_INPUT\] attention_threshold") as refused:
        client.kv_cache.compress(model_name="gpt-4", attention_threshold=1.5, **arrays)
    assert (refused.value.status, refused.value.code, refused.value.field) == (
        422,
        "INVALID_INPUT",
        "attention_threshold",
    )


def test_an_unknown_model_is_not_found(client, arrays):
    with pytest.raises(NotFound) as refused:
        client.kv_cache.compress(model_name="gpt-5000", **arrays)
    assert refused.value.code == "MODEL_NOT_SUPPORTED"
    assert refused.value.resolution


def test_a_conflict_is_one(client, settings):
    settings.KV_CACHE_STREAMS = 1
    client.kv_cache.open_stream(model_name="gpt-4")
    with pytest.raises(Conflict):
        client.kv_cache.open_stream(model_name="gpt-4")


def test_without_a_key_one_reads_but_does_not_compute(server, arrays):
    with AwarenessClient(base_url=server) as nobody:
        assert nobody.kv_cache.supported_models()
        with pytest.raises(NotAuthenticated):
            nobody.kv_cache.compress(model_name="gpt-4", **arrays)


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(ServerUnreachable, match="UNREACHABLE"):
        AwarenessClient(base_url="http://127.0.0.1:9").kv_cache.statistics()
