"""Compressing, decompressing, judging and measuring over REST, with the specification's arrays and a model's cache."""

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from kvcache.server.models import CompressionRun
from kvcache.server.payloads import Given, from_file, to_file
from latentmas.protocol.plain import plain_snapshot
from latentmas.protocol.snapshot import KVSnapshot

pytestmark = pytest.mark.django_db
BASE = "/api/kv-cache"
JSON = "application/json"
FILE = "application/vnd.safetensors"
RESULT = "LatentMAS-Result"
TOKENS, DIM = 100, 16
PHASE_1 = {
    *("compressionTimeMs", "decompressionTimeMs", "ttft", "tokenSavings", "bandwidthSavingsBytes"),
    *("bandwidthSavingsPercent", "cumulativeAttention", "compressionRatio"),
}


@pytest.fixture
def arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    keys, values, queries = (rng.normal(size=(count, DIM)).round(3) for count in (TOKENS, TOKENS, 4))
    return {"keys": keys.tolist(), "values": values.tolist(), "queries": (4 * queries).tolist()}


def asked(api: Client, what: str, body: dict[str, Any], **headers: str) -> Any:
    return api.post(f"{BASE}/{what}", json.dumps(body), JSON, headers=headers)


def compressed(api: Client, arrays: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = asked(api, "compress", {"modelName": "gpt-4", **arrays, **more})
    assert response.status_code == 200, response.content
    return dict(response.json())


def test_the_specifications_request_selects_tokens(api, arrays):
    document = compressed(api, arrays, attentionThreshold=0.5, minTokens=5, maxTokens=60)
    metrics = document["metrics"]
    assert (document["model"], document["method"], document["basis"]) == ("gpt-4", "select", "activation")
    assert 5 <= document["kept_tokens"] == len(document["kept"]) <= 60
    assert metrics["token_savings"] == TOKENS - document["kept_tokens"]
    assert metrics["cumulative_attention"] >= 0.5
    assert metrics["ttft_ms"] is document["expected_kl"] is None
    assert metrics["ratio"] == pytest.approx(1 / (1 - metrics["compression_ratio"]))


def test_the_models_threshold_is_the_default(api, arrays):
    assert compressed(api, arrays)["metrics"]["cumulative_attention"] >= 0.92


def test_phase_1s_metric_keys_come_on_request(api, arrays):
    response = asked(api, "compress?keys=camel", {"modelName": "gpt-4", **arrays})
    document = response.json()
    assert set(document["metrics"]) >= PHASE_1
    assert document["keptTokens"] == len(document["kept"])


def test_what_was_compressed_decompresses_at_its_positions(api, arrays):
    document = compressed(api, arrays, attentionThreshold=0.5)
    back = asked(api, "decompress", {"compressed": document["compressed"]}).json()
    assert back["positions"] == document["kept"]
    assert back["next_position"] == TOKENS
    np.testing.assert_allclose(back["keys"], np.array(arrays["keys"])[document["kept"]], atol=2e-3)
    assert back["metrics"]["decompression_time_ms"] > 0


def test_decompression_is_timed_when_asked(api, arrays):
    assert compressed(api, arrays)["metrics"]["decompression_time_ms"] is None
    assert compressed(api, arrays, timeDecompression=True)["metrics"]["decompression_time_ms"] > 0


def test_a_file_goes_in_and_a_file_comes_out(api, cache):
    response = api.post(f"{BASE}/compress?ratio=3", to_file(Given(cache)), FILE, headers={"Accept": FILE})
    assert response.status_code == 200, response.content
    result = json.loads(response[RESULT])
    assert result["metrics"]["ratio"] >= 3
    assert (result["model"], result["size"]) == ("smollm2-135m", len(response.content))
    assert response["Repr-Digest"].startswith("sha-256=:")
    back = api.post(f"{BASE}/decompress", response.content, FILE, headers={"Accept": FILE})
    snapshot = from_file(back.content).snapshot
    assert snapshot.frame.geometry == cache.frame.geometry
    error = np.linalg.norm(snapshot.values - cache.values) / np.linalg.norm(cache.values)
    assert error < 0.3


def test_a_models_own_arrays_may_come_as_json(api, cache):
    geometry = cache.frame.geometry
    few = slice(0, 2)
    body = {"keys": cache.keys[:, few].round(1).tolist(), "values": cache.values[:, few].round(1).tolist()}
    document = asked(api, "compress", {"modelName": "smollm2-135m", "method": "quantise", **body}).json()
    assert document["metrics"]["original_bytes"] == 2 * geometry.width * 2


def test_removed_rotation_is_put_back(api, cache):
    few, body = slice(0, 2), {"modelName": "smollm2-135m", "method": "raw"}
    body |= {"keys": cache.keys[:, few].round(1).tolist(), "values": cache.values[:, few].round(1).tolist()}
    applied, removed = (asked(api, "compress", body | {"rope": rope}).json() for rope in ("applied", "removed"))
    keys = []
    for each in (applied, removed):
        data = base64.b64decode(each["compressed"])
        keys.append(
            from_file(api.post(f"{BASE}/decompress", data, FILE, headers={"Accept": FILE}).content).snapshot.keys
        )
    np.testing.assert_allclose(keys[0][:, 0], keys[1][:, 0], atol=1e-3)  # position 0 is not turned
    assert np.abs(keys[0][:, 1] - keys[1][:, 1]).max() > 0.1
    np.testing.assert_allclose(np.linalg.norm(keys[0]), np.linalg.norm(keys[1]), rtol=1e-3)


def test_quality_is_judged_from_what_is_measured(api, arrays):
    document = compressed(api, arrays, attentionThreshold=0.5)
    unmeasured = asked(api, "validate-quality", {"modelName": "gpt-4", "compressed": document["compressed"]}).json()
    assert unmeasured["figures"]["information_loss"] is None
    assert (unmeasured["basis"], unmeasured["bases"]["attention_coverage"]) == ("declared", "declared")
    assert any("the file claims" in warning for warning in unmeasured["warnings"])
    assert any("85" in warning for warning in unmeasured["warnings"])
    measured = asked(
        api, "validate-quality", {"modelName": "gpt-4", "compressed": document["compressed"], **arrays}
    ).json()
    assert measured["loss_from"] == "attention_output_error"
    assert measured["bases"]["attention_coverage"] == measured["basis"] == "activation"
    assert measured["passed"] is False
    assert measured["recommendations"]


def test_a_snapshot_and_its_file_are_judged_together(api, cache):
    made = api.post(f"{BASE}/compress?method=quantise", to_file(Given(cache)), FILE, headers={"Accept": FILE}).content
    queries = np.random.default_rng(2).normal(size=(30, 3, 9, 64)).astype(np.float32)
    body = to_file(Given(cache, queries, compressed=made))
    report = api.post(f"{BASE}/validate-quality", body, FILE).json()
    assert report["model"] == "smollm2-135m"
    assert 0 < report["figures"]["information_loss"] < 0.15
    alone = api.post(f"{BASE}/validate-quality", made, FILE).json()
    assert alone["figures"]["information_loss"] is None


def test_a_benchmark_reports_medians_and_keeps_the_first_call_apart(api, arrays):
    response = asked(api, "benchmark", {"modelName": "gpt-4", **arrays, "repetitions": 3})
    document = response.json()
    assert response.status_code == 200, document
    assert document["repetitions"] == 3
    assert document["metrics"]["compression_time_ms"] == document["compression_time_ms"]["median"]
    assert document["decompression_time_ms"]["least"] <= document["decompression_time_ms"]["most"]
    assert document["metrics"]["cold"] is False
    assert {"compile_ms", "cold", "compression_time_ms"} <= set(document["first"])
    assert asked(api, "benchmark", {"modelName": "gpt-4", **arrays, "repetitions": 21}).json()["field"] == "repetitions"


def test_every_operation_is_on_record(api, arrays):
    document = compressed(api, arrays)
    asked(api, "decompress", {"compressed": document["compressed"]})
    asked(api, "validate-quality", {"modelName": "gpt-4", "compressed": document["compressed"]})
    asked(api, "benchmark", {"modelName": "gpt-4", **arrays, "repetitions": 1})
    runs = {run.operation: run for run in CompressionRun.objects.all()}
    assert set(runs) == {"compress", "decompress", "validate", "benchmark"}
    assert (runs["validate"].basis, runs["validate"].coverage) == ("declared", None)  # the file's claim is no figure
    run = runs["compress"]
    assert (run.model, run.method, run.tokens, run.width) == ("gpt-4", "select", TOKENS, 2 * DIM)
    assert (run.tokens_kept, run.coverage) == (
        document["kept_tokens"],
        pytest.approx(document["metrics"]["cumulative_attention"]),
    )
    assert run.cold is document["metrics"]["cold"]


@pytest.mark.parametrize("what", ["compress", "decompress", "validate-quality", "benchmark"])
def test_computing_needs_a_token_with_the_scope(registry, client, what):
    response = client.post(f"{BASE}/{what}", "{}", JSON)
    assert (response.status_code, response.json()["code"]) == (401, "NOT_AUTHENTICATED")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_logged_in_account_may_compute_too(registry, client, arrays):
    client.force_login(User.objects.create_user("bob"))
    assert compressed(client, arrays)["model"] == "gpt-4"


def wrong(name: str, value: Any) -> Any:
    return pytest.param({name: value}, name, id=f"{name}={str(value)[:30]}")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        wrong("keys", [[1.0, 2.0], [1.0]]),
        wrong("keys", [["a"] * DIM] * TOKENS),
        wrong("keys", []),
        wrong("keys", [1.0, 2.0]),
        wrong("keys", [[[1.0]]]),
        wrong("keys", "a,b"),
        wrong("keys", [[True] * DIM] * TOKENS),
        wrong("keys", [[10**400] * DIM] * TOKENS),
        wrong("keys", [[1e300] * DIM] * TOKENS),
        wrong("values", [[1.0] * DIM] * 3),
        wrong("queries", [[1.0] * 3]),
        wrong("query_positions", [-1]),
        wrong("query_positions", [1 << 40] * 4),
        wrong("attention_threshold", 0),
        wrong("attention_threshold", 1.01),
        wrong("min_tokens", 0),
        wrong("max_tokens", -3),
        wrong("min_tokens", 5000),
        wrong("method", "zip"),
        wrong("ratio", 1),
        wrong("rope", "maybe"),
        wrong("weights", "abc"),
        wrong("colour", "red"),
        wrong("model_name", None),
    ],
)
def test_wrong_input_is_named(api, arrays, changes, field):
    body = {"model_name": "gpt-4", **arrays, **changes}
    response = asked(api, "compress", {name: value for name, value in body.items() if value is not None})
    assert response.status_code == 422, response.content
    named = response.json().get("field", "")
    assert named.split(".")[0] in {field, "max_tokens"} or (field == "min_tokens" and named == "keys")
    assert not CompressionRun.objects.exists()


def test_one_token_cannot_be_selected_from(api):
    body = {"modelName": "gpt-4", "keys": [[1.0, 2.0]], "values": [[1.0, 2.0]], "queries": [[1.0, 2.0]]}
    assert asked(api, "compress", body).json()["field"] == "keys"


@pytest.mark.parametrize("text", ['{"keys": [[NaN]]}', '{"keys": [[Infinity]]}', "{", "[" * 100_000])
def test_what_is_no_json_is_a_bad_request(api, text):
    response = api.post(f"{BASE}/compress", text, JSON)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")


def test_two_targets_are_one_too_many(api, arrays):
    response = asked(api, "compress", {"modelName": "gpt-4", **arrays, "attentionThreshold": 0.9, "ratio": 4})
    assert (response.status_code, response.json()["field"]) == (422, "ratio")


def test_a_kl_bound_without_a_profile_says_what_is_missing(api, arrays):
    response = asked(api, "compress", {"modelName": "gpt-4", **arrays, "kl": 0.01})
    assert (response.status_code, response.json()["field"]) == (422, "profile")


def test_the_transform_code_needs_to_know_the_weights(api, cache):
    nameless = KVSnapshot(replace(cache.frame, weights=None), cache.keys, cache.values)
    address = f"{BASE}/compress?method=transform"
    assert api.post(address, to_file(Given(nameless)), FILE).json()["field"] == "weights"
    assert api.post(address, to_file(Given(cache)), FILE).json()["field"] == "profile"
    unknown = api.post(f"{address}&profile=sha256:{'0' * 64}", to_file(Given(cache)), FILE)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")


def test_the_cache_of_another_model_is_refused(api, cache):
    response = api.post(f"{BASE}/compress?model_name=llama-3-8b", to_file(Given(cache)), FILE)
    assert response.status_code == 422


@pytest.mark.parametrize("what", ["compress", "decompress", "validate-quality", "benchmark"])
@pytest.mark.parametrize("body", [b"", b"nonsense", b"\x00" * 64, (1 << 40).to_bytes(8, "little") + b"{}"])
def test_a_malformed_file_is_a_clear_error(api, what, body):
    response = api.post(f"{BASE}/{what}", body, FILE)
    assert response.status_code in (413, 422)
    assert response["Content-Type"] == "application/problem+json"


def test_a_truncated_or_tampered_file_is_a_clear_error(api, arrays):
    data = base64.b64decode(compressed(api, arrays)["compressed"])
    for broken in (data[:-1], data[: len(data) // 2], data[:-5] + b"\xff" * 5, data + b"\x00"):
        assert api.post(f"{BASE}/decompress", broken, FILE).status_code == 422


def test_a_body_is_limited_by_its_declared_length(api, cache):
    with override_settings(KV_CACHE_MAX_BYTES=2048):
        response = api.post(f"{BASE}/compress", to_file(Given(cache)), FILE)
    document = response.json()
    assert (response.status_code, document["code"], document["facts"]["limit"]) == (413, "TOO_LARGE", 2048)


def test_a_cache_too_large_to_work_on_is_refused_before_it_is_decoded(api, cache):
    made = api.post(f"{BASE}/compress?method=quantise", to_file(Given(cache)), FILE, headers={"Accept": FILE}).content
    with override_settings(KV_CACHE_MAX_BYTES=len(made) + 1):
        response = api.post(f"{BASE}/decompress", made, FILE)
    assert (response.status_code, response.json()["code"]) == (413, "TOO_LARGE")


def test_what_json_cannot_carry_is_refused_with_the_way_out(api, cache):
    made = api.post(f"{BASE}/compress?method=quantise", to_file(Given(cache)), FILE, headers={"Accept": FILE}).content
    document = api.post(f"{BASE}/decompress", made, FILE).json()
    assert document["code"] == "TOO_LARGE"
    assert FILE in document["resolution"]


def test_a_form_is_not_understood(api):
    assert api.post(f"{BASE}/compress", "a=1", "application/x-www-form-urlencoded").status_code == 415


def test_plain_arrays_of_a_sliding_model_get_its_window(api, arrays):
    response = asked(api, "compress", {"modelName": "mistral-7b", **arrays})
    assert response.status_code == 200
    plain = plain_snapshot(arrays["keys"], arrays["values"])
    same = api.post(
        f"{BASE}/compress?model_name=mistral-7b",
        to_file(Given(plain, 1.0 * np.array(arrays["queries"], np.float32)[None, :, None])),
        FILE,
    )
    assert same.json()["digest"] == response.json()["digest"]
