"""What anybody may read: adapters, profiles, statistics, and Prometheus' text."""

import hashlib
import json

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from kvcache.server.commands import publish_profile
from kvcache.server.events import CodecProfilePublished, PublishedPoint
from kvcache.server.models import CodecProfile, CompressionRun, Operation
from kvcache.server.queries import profile_for
from kvcache.server.statistics import RunCollector
from latentmas import blobs
from latentmas.events import store
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.protocol.quality import Basis, Corpus
from latentmas.registry.commands import correct_facts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registry", "own_files")]
BASE = "/api/kv-cache"
METADATA = Metadata(actor="test")
CALIBRATION = Corpus("lee", "sha256:" + "c" * 64, 80)
HELD_OUT = Corpus("lee", "sha256:" + "d" * 64, 20)
CURVE = (PublishedPoint(0.5, 20.5, 0.0095, 0.964), PublishedPoint(1.0, 39.0, 0.036, 0.914))


def published(content=b"a profile", **changes):
    digest = blobs.put_bytes(content)
    known = {
        "digest": digest,
        "size": len(content),
        "model": "smollm2-135m",
        "weights": "sha256:" + "a" * 64,
        "version": "1.0.0",
        "width": 11_520,
        "corpus": CALIBRATION,
        "basis": Basis.FUNCTIONAL,
        "measured_on": HELD_OUT,
        "curve": CURVE,
    }
    publish_profile(CodecProfilePublished(**known | changes), metadata=METADATA)
    return digest


def ran(operation=Operation.COMPRESS, **changes):
    known = {
        "operation": operation,
        "model": "smollm2-135m",
        "method": "quantise",
        "basis": "activation",
        "width": 11_520,
        "cold": False,
        "compile_ms": 0.0,
        "duration_ms": 12.0,
        "compression_ms": 10.0,
        "original_bytes": 4000,
        "compressed_bytes": 1000,
        "tokens": 100,
        "tokens_kept": 100,
    }
    return CompressionRun.objects.create(**known | changes)


def test_every_active_model_with_a_cache_is_listed(client):
    rows = {row["name"]: row for row in client.get(f"{BASE}/models").json()["models"]}
    assert rows["gpt-4"]["recommended_threshold"] == 0.92
    assert rows["mistral-7b"]["attention_type"] == "sliding-window"
    assert rows["claude-3-opus"]["geometry_known"] is False


def test_phase_1_keys_are_returned_on_request(client):
    row = client.get(f"{BASE}/models?keys=camel").json()["models"][0]
    assert {"name", "family", "attentionType", "recommendedThreshold"} <= set(row)
    assert client.get(f"{BASE}/models?keys=kebab").json()["field"] == "keys"


def test_an_adapter_says_what_it_uses_and_what_is_unknown(client):
    known = client.get(f"{BASE}/models/HuggingFaceTB/SmolLM2-135M-Instruct").json()
    assert (known["name"], known["geometry"]["layers"], known["geometry"]["width"]) == ("smollm2-135m", 30, 11_520)
    closed = client.get(f"{BASE}/models/claude-3-opus").json()
    assert closed["geometry"] is None
    assert "num_kv_heads" in closed["unknown"]


def test_a_curators_correction_takes_effect(client):
    changes = {"architecture.sliding_window": 2048}
    correct_facts(name="mistral-7b", changes=changes, reason="model card", metadata=METADATA)
    assert client.get(f"{BASE}/models/mistral-7b").json()["window"] == 2048


def test_an_unknown_model_is_a_problem(client):
    response = client.get(f"{BASE}/models/gpt-5000")
    assert (response.status_code, response.json()["code"]) == (404, "MODEL_NOT_SUPPORTED")


def test_a_published_profile_is_listed_with_its_measured_curve(client):
    digest = published()
    (row,) = client.get(f"{BASE}/profiles?modelName=smollm2-135m").json()["profiles"]
    assert (row["digest"], row["basis"], row["corpus"]["name"]) == (digest, "functional", "lee")
    assert row["curve"][0] == {"step": 0.5, "ratio": 20.5, "kl": 0.0095, "top1": 0.964}
    assert client.get(f"{BASE}/models/smollm2-135m").json()["profile"]["digest"] == digest
    assert client.get(f"{BASE}/profiles?model=gpt-4").json()["profiles"] == []


def test_the_record_keeps_the_curve_as_text():
    digest = published()
    event = store.read_stream(f"codec-profile/{digest.removeprefix('sha256:')}")[0]
    assert event.data.curve == CURVE
    assert CodecProfile.objects.get().curve[0]["kl"] == "0.0095"


def test_publishing_it_again_records_nothing():
    before = (published(), store.head_position())
    assert (published(), store.head_position()) == before


def test_the_newest_profile_of_the_very_weights_is_used():
    published()
    newest = published(b"a better one", version="1.1.0")
    other = published(b"of other weights", weights="sha256:" + "b" * 64)
    assert profile_for("smollm2-135m", "sha256:" + "a" * 64).digest == newest
    assert profile_for("smollm2-135m").digest == other
    assert profile_for("smollm2-135m", "sha256:" + "e" * 64) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"digest": "sha256:" + "0" * 64}, "digest"),
        ({"size": 3}, "size"),
        ({"weights": "unknown"}, "weights"),
        ({"curve": (PublishedPoint(1.0, 2.0, 0.1, 1.5),)}, "curve"),
        ({"measured_on": None}, "measured_on"),
    ],
)
def test_a_profile_that_cannot_be_right_is_refused(changes, field):
    with pytest.raises(InvalidInput) as refused:
        published(**changes)
    assert refused.value.facts["field"] == field
    assert not CodecProfile.objects.exists()


def test_a_profile_of_an_unknown_model_is_refused():
    with pytest.raises(ModelNotSupported):
        published(model="gpt-5000")


def test_a_profile_comes_with_its_digest_and_in_parts(client):
    digest = published()
    whole = client.get(f"{BASE}/profiles/{digest}")
    content = b"".join(whole.streaming_content)
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
    assert whole["Content-Type"] == "application/vnd.safetensors"
    assert "smollm2-135m--1.0.0.profile.safetensors" in whole["Content-Disposition"]
    part = client.get(f"{BASE}/profiles/{digest}", headers={"Range": "bytes=2-8"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"profile")
    assert client.get(f"{BASE}/profiles/{digest}", headers={"If-None-Match": whole["ETag"]}).status_code == 304


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "nonsense", "%00"])
def test_a_profile_that_is_not_published_is_not_found(client, digest):
    assert client.get(f"{BASE}/profiles/{digest}").status_code == 404


def test_statistics_keep_the_times_of_cold_runs_out_of_the_medians(client):
    for milliseconds in (10.0, 12.0, 20.0):
        ran(compression_ms=milliseconds)
    ran(compression_ms=900.0, cold=True, compile_ms=880.0)
    ran(Operation.DECOMPRESS, decompression_ms=3.0)
    document = client.get(f"{BASE}/statistics").json()
    assert document["totals"]["runs"] == 5
    assert document["totals"]["cold_runs"] == 1
    assert document["totals"]["bandwidth_savings_bytes"] == 4 * 3000  # a decompression saves nothing
    compressed, decompressed = document["by_kind"]
    assert (compressed["runs"], compressed["medians"]["warm_runs"]) == (4, 3)
    assert compressed["medians"]["compression_time_ms"] == 12.0
    assert compressed["medians"]["ratio"] == 4.0
    assert (compressed["basis"], compressed["medians"]["basis"]) == ("activation", "declared")
    assert decompressed["medians"]["decompression_time_ms"] == 3.0


def test_statistics_of_nothing_are_zero_and_unknown(client):
    document = client.get(f"{BASE}/statistics").json()
    assert document["totals"]["runs"] == document["totals"]["bandwidth_savings_bytes"] == 0
    assert document["by_kind"] == []


def test_statistics_take_a_constant_number_of_queries(client, django_assert_max_num_queries):
    for number in range(20):
        ran(model=f"model-{number}")
    with django_assert_max_num_queries(3):
        client.get(f"{BASE}/statistics")


def test_prometheus_reads_the_same_figures(client):
    ran()
    ran(cold=True, compile_ms=500.0, duration_ms=512.0)
    response = client.get("/metrics")
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {each.name: each for each in text_string_to_metric_families(response.content.decode())}
    runs, compiling = (families[f"latentmas_kv_cache_{name}"] for name in ("runs", "compile_seconds"))
    assert runs.type == "counter"
    assert {each.labels["cold"]: each.value for each in runs.samples} == {"false": 1.0, "true": 1.0}
    assert {each.labels["cold"]: each.value for each in compiling.samples} == {"false": 0.0, "true": 0.5}
    assert runs.samples[0].labels["model"] == "smollm2-135m"


def test_prometheus_reads_nothing_until_it_is_scraped(django_assert_num_queries):
    with django_assert_num_queries(0):
        CollectorRegistry().register(RunCollector())


@pytest.mark.parametrize("keys", [{}, {"method": "transform"}, {"kl": 0.01}])
def test_an_estimate_rests_on_a_profiles_curve(client, keys):
    digest = published()
    document = estimated(client, **keys)
    assert (document["rests_on"], document["basis"], document["profile"]) == ("profile", "functional", digest)
    assert (document["ratio"], document["kl"], document["measured"]) == (20.5, 0.0095, True)
    assert document["original_bytes"] == 1000 * 11_520 * 2
    assert document["measured_on"]["digest"] == HELD_OUT.digest


def test_an_estimate_reads_nothing_off_between_measured_points(client):
    published()
    assert estimated(client, ratio=25)["ratio"] == 39.0
    refused = client.post(f"{BASE}/estimate-savings", wanted(ratio=60), "application/json").json()
    assert (refused["code"], refused["field"]) == ("QUALITY_BELOW_THRESHOLD", "ratio")


def test_an_estimate_rests_on_recorded_runs_of_the_models_whole_cache(client):
    ran()
    ran(compressed_bytes=2000)
    ran(width=128, compressed_bytes=1)  # plain arrays
    ran(cold=True, compressed_bytes=4000, compression_ms=900.0)
    document = estimated(client)
    assert (document["rests_on"], document["runs"], document["ratio"]) == ("runs", 3, 2.0)
    assert document["compression_time_ms"] == 10.0  # a cold run's bytes count, its time does not
    assert (document["basis"], document["measured"]) == ("declared", False)  # that they were its caches is their word
    assert "nobody checked" in document["note"]
    assert estimated(client, method="select")["rests_on"] == "nothing"


def test_without_measurements_an_estimate_says_so(client):
    document = estimated(client)
    assert (document["basis"], document["measured"], document["rests_on"]) == ("declared", False, "nothing")
    assert document["ratio"] is document["bandwidth_savings_bytes"] is None
    asked = estimated(client, ratio=4)
    assert (asked["basis"], asked["bandwidth_savings_percent"]) == ("declared", 75.0)
    selected = estimated(client, attentionThreshold=0.9)
    assert (selected["ratio"], selected["tokens_kept_range"]) == (None, [10, 1000])


def test_the_size_of_a_cache_of_unknown_geometry_is_unknown(client):
    document = estimated(client, model_name="claude-3-opus")
    assert document["original_bytes"] is None
    assert document["unknown"]


def test_a_sliding_layer_counts_only_what_it_holds(client):
    whole = estimated(client, model_name="gemma-3-270m", tokens=400)["original_bytes"] / 400
    assert estimated(client, model_name="gemma-3-270m", tokens=100_000)["original_bytes"] < 0.2 * whole * 100_000


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tokens": 0}, "tokens"),
        ({"attention_threshold": 0}, "attention_threshold"),
        ({"attention_threshold": "nan"}, "attention_threshold"),
        ({"ratio": 4, "kl": 0.1}, "kl"),
        ({"ratio": 4, "min_tokens": 3}, "min_tokens"),
        ({"ratio": 0.5}, "ratio"),
        ({"method": "zip"}, "method"),
        ({"profile": "sha256:1"}, "profile"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_estimate_is_refused_by_field(client, changes, field):
    response = client.post(f"{BASE}/estimate-savings", wanted(**changes), "application/json")
    assert (response.status_code, response.json()["field"]) == (422, field)


def wanted(**changes):
    return json.dumps({"model_name": "smollm2-135m", "tokens": 1000} | changes)


def estimated(client, **changes):
    response = client.post(f"{BASE}/estimate-savings", wanted(**changes), "application/json")
    assert response.status_code == 200, response.content
    return response.json()
