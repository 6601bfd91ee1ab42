"""`POST /api/latentmas/kv-cache/align` with a raw file, a .kvz file, JSON arrays and a stored memory."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from kvcache.compression.compressor import compress
from kvcache.server.models import CompressionRun
from kvcache.server.payloads import Given, from_file, to_file
from kvcache.server.queries import get_adapter
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Distribution
from latentmas.registry.data_file import load, read_entries
from latentmas.rest.scopes import KV_CACHE_COMPUTE, MEMORIES_WRITE
from marketplace.listings.lifecycle.commands import yank_version
from tests.marketplace.exchange.sample import certified_listing, memory, w_matrix
from tests.marketplace.sample import CURATOR, SOURCE, TARGET, cell, suite, unmeasured, with_suite

pytestmark = pytest.mark.django_db
ALIGN = "/api/latentmas/kv-cache/align"
FILE = "application/vnd.safetensors"
JSON = "application/json"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
INTO = f"{ALIGN}?target_model={TARGET}"


def sent(api: Client, snapshot: Any = None, query: str = "", *, accept: str = FILE) -> Any:
    data = snapshot if isinstance(snapshot, bytes) else to_file(Given(snapshot or memory()))
    return api.post(INTO + query, data, FILE, headers={"Accept": accept})


def asked(api: Client, **body: Any) -> Any:
    return api.post(ALIGN, json.dumps({"target_model": TARGET, **body}), JSON)


def arrays(tokens: int = 1) -> dict[str, Any]:
    snapshot = memory(tokens)
    offsets = snapshot.frame.offsets
    assert offsets is not None
    numbers = {"keys": snapshot.keys.round(2).tolist(), "values": snapshot.values.round(2).tolist()}
    return {**numbers, "offsets": offsets.tolist()}


def test_a_file_goes_in_and_the_targets_file_comes_out(api):
    listing = certified_listing(quality=with_suite())
    response = sent(api)
    assert response.status_code == 200, response.content
    assert response["LatentMAS-Protocol"] == "LatentMAS/2.0"
    result = json.loads(response["LatentMAS-Result"])
    assert (result["decision"], result["mode"]) == ("applied", "source-tokens")
    quality = result["alignment_quality"]
    assert quality["retention"] == quality["information_retention"] == pytest.approx(0.65)
    assert (quality["basis"], quality["mode"]) == ("functional", "source-tokens")
    assert (quality["suite"], quality["length"], quality["register"]) == ("suite/1", 256, "code")
    assert (result["w_matrix"]["listing_id"], result["w_matrix"]["version"]) == (listing, "1.0.0")
    assert result["w_matrix"]["certification"]["scope"]["longest"] == 1024
    snapshot = from_file(response.content).snapshot
    assert snapshot.frame.model == TARGET
    assert snapshot.frame.geometry == get_adapter(TARGET).geometry
    assert snapshot.frame.tokens == 21
    assert np.isfinite(snapshot.values).all()


def test_it_is_put_on_record_with_its_time(api):
    certified_listing()
    sent(api)
    run = CompressionRun.objects.get(operation="align")
    assert (run.model, run.method, run.basis, run.tokens) == (SOURCE, "learned", "functional", 21)
    assert run.duration_ms > 0


def test_small_arrays_go_and_come_as_json(api):
    certified_listing()
    response = asked(api, protocol="LatentMAS/2.0", source_model=SOURCE, kv_cache=arrays(), w_matrix_version="1.0.0")
    assert response.status_code == 200, response.content
    document = response.json()
    aligned = document["aligned_kv_cache"]
    assert np.shape(aligned["keys"]) == (18, 2, 1, 256)
    assert (aligned["model"], aligned["positions"], aligned["next_position"]) == (TARGET, [0, 1], 2)
    assert set(document["alignment_quality"]) >= {"cosine_similarity", "euclidean_distance", "confidence"}


def test_phase_1s_spellings_are_understood(api):
    certified_listing()
    body = {"sourceModel": SOURCE, "targetModel": TARGET, "kvCache": arrays()}
    response = api.post(f"{ALIGN}?keys=camel", json.dumps(body), JSON)
    assert response.status_code == 200, response.content
    assert "informationRetention" in response.json()["alignmentQuality"]


def test_a_compressed_memory_is_decompressed_first(api):
    certified_listing()
    kvz = compress(memory(), adapter=get_adapter(SOURCE), method="raw").data
    snapshot = from_file(sent(api, kvz).content).snapshot
    direct = from_file(sent(api).content).snapshot
    np.testing.assert_allclose(snapshot.values, direct.values, atol=2e-2)


def test_reading_a_compressed_memory_is_not_recorded_as_a_decompression(api):
    certified_listing()
    kvz = compress(memory(), adapter=get_adapter(SOURCE), method="raw").data
    stored = api.post("/api/stored-memories", kvz, FILE).json()
    assert sent(api, kvz).status_code == 200
    body = {"target_model": TARGET, "memory": stored["id"]}
    assert api.post(ALIGN, body, JSON, headers={"Accept": FILE}).status_code == 200
    assert [run.operation for run in CompressionRun.objects.all()] == ["align", "align"]


def test_a_stored_memory_is_aligned_by_its_id(api):
    certified_listing()
    stored = api.post("/api/stored-memories", to_file(Given(memory(2))), FILE).json()
    response = asked(api, memory=stored["id"])
    assert response.status_code == 200, response.content
    assert response.json()["tokens"] == 3


def test_a_stored_memory_needs_the_scope_to_read_it(api, client_with):
    certified_listing()
    stored = api.post("/api/stored-memories", to_file(Given(memory(2))), FILE).json()
    few = client_with(KV_CACHE_COMPUTE, MEMORIES_WRITE)
    response = asked(few, memory=stored["id"])
    assert response.status_code == 403
    assert "memories:read" in response.json()["detail"]


def test_anothers_memory_does_not_exist(api, registry):
    certified_listing()
    stored = api.post("/api/stored-memories", to_file(Given(memory(2))), FILE).json()
    bob = Client()
    bob.force_login(User.objects.create_user("bob"))
    response = asked(bob, memory=stored["id"])
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


def test_the_targets_tokens_may_come_along(api):
    certified_listing()
    spans = [[0, 0], [0, 1], [1, 2]]
    response = asked(api, source_model=SOURCE, kv_cache=arrays(), target_spans=spans, target_ids=[2, 7, 9])
    document = response.json()
    assert document["mode"] == "spans"
    assert document["aligned_kv_cache"]["token_ids"] == [2, 7, 9]
    assert document["aligned_kv_cache"]["offsets"] == spans


def test_a_token_with_the_scope_is_asked_for(api):
    assert sent(Client()).status_code == 401


# What goes wrong: the protocol's code, what was expected, what came, and the next call.


def problem(response: Any, code: str, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    document = response.json()
    assert document["code"] == code, document
    assert document["resolution"]
    return dict(document)


def test_without_a_w_matrix_the_answer_names_the_next_call(api):
    document = problem(sent(api), "W_MATRIX_NOT_FOUND", 404)
    assert "POST /api/latentmas/w-matrix/generate" in document["resolution"]
    assert document["facts"]["decision"] == "unsupported"


def test_an_unknown_model_is_not_supported(api):
    problem(asked(api, target_model="gpt-5000", source_model=SOURCE, kv_cache=arrays()), "MODEL_NOT_SUPPORTED", 404)


def test_an_encoder_keeps_no_memory(api):
    load([entry for entry in read_entries() if entry.name == "bert"])
    document = problem(
        asked(api, target_model="bert", source_model=SOURCE, kv_cache=arrays()), "MODEL_NOT_SUPPORTED", 404
    )
    assert "keeps no KV-cache" in document["detail"]
    assert "GET /api/kv-cache/models" in document["resolution"]


def test_a_listing_that_is_not_there_is_not_found(api):
    assert sent(api, query="&w_matrix_listing=nothing").json()["code"] == "NOT_FOUND"


def test_the_same_model_needs_no_w_matrix(api):
    response = asked(api, target_model=SOURCE, source_model=SOURCE, kv_cache=arrays())
    assert "hand" in problem(response, "INVALID_INPUT", 422)["resolution"].lower()


def test_another_geometry_is_a_dimension_mismatch(api):
    certified_listing()
    snapshot = memory()
    frame = replace(snapshot.frame, geometry=replace(snapshot.frame.geometry, thetas=(1e4,) * 30))
    document = problem(sent(api, replace(snapshot, frame=frame)), "DIMENSION_MISMATCH", 422)
    assert document["field"] == "thetas"
    assert document["facts"]["came"][0] == 1e4


def test_another_revision_finds_no_w_matrix(api):
    certified_listing()
    document = problem(sent(api, memory(weights="sha256:" + "d" * 64)), "W_MATRIX_NOT_FOUND", 404)
    assert document["facts"]["expected"] == "sha256:" + "a" * 64


def test_an_expired_certificate_is_none(api):
    listing = certified_listing(at=LONG_AGO)
    problem(sent(api), "W_MATRIX_NOT_FOUND", 404)
    document = problem(sent(api, query=f"&w_matrix_listing={listing}"), "QUALITY_BELOW_THRESHOLD", 422)
    assert "expired" in document["detail"]
    assert document["facts"]["decision"] == "fallback_reprefill"


def test_a_refused_version_is_applied_only_on_request(api):
    certified_listing(certify=False, quality=unmeasured(Basis.ACTIVATION))
    problem(sent(api), "W_MATRIX_NOT_FOUND", 404)
    document = problem(sent(api, query="&w_matrix_version=1.0.0"), "QUALITY_BELOW_THRESHOLD", 422)
    assert "never compared with its controls" in document["facts"]["reason"]
    response = sent(api, query="&require_certificate=false")
    assert json.loads(response["LatentMAS-Result"])["w_matrix"]["certification"] is None


def test_below_the_minimum_nothing_is_handed_over(api):
    certified_listing()
    asks = {"source_model": SOURCE, "kv_cache": arrays(), "target_spans": [[0, 1]], "minimum_retention": 0.98}
    document = problem(asked(api, **asks), "QUALITY_BELOW_THRESHOLD", 422)
    assert document["facts"]["quality"]["retention"] == 0.97
    assert "a different method" in document["resolution"]


def test_without_the_targets_tokens_no_minimum_is_reached_by_figures_that_need_them(api):
    certified_listing()
    document = problem(sent(api, query="&minimum_retention=0.1"), "QUALITY_BELOW_THRESHOLD", 422)
    assert document["facts"]["quality"]["retention"] is None
    assert "target_spans" in document["resolution"]


def test_a_context_beyond_the_certificates_scope_is_for_the_target_to_read(api):
    certified_listing(quality=with_suite(suite(cell("news", 10, 0.9))))
    document = problem(sent(api), "QUALITY_BELOW_THRESHOLD", 422)
    assert document["facts"]["decision"] == "fallback_reprefill"
    assert (document["field"], document["facts"]["came"], document["facts"]["expected"]) == ("kv_cache", 20, 10)
    assert "require_scope=false" in document["resolution"]
    insisted = json.loads(sent(api, query="&require_scope=false")["LatentMAS-Result"])
    assert any("more than the 10 that the certificate covers" in finding for finding in insisted["findings"])
    assert insisted["alignment_quality"]["retention"] is None


def test_a_receiver_of_other_weights_than_measured_is_told(api):
    certified_listing()
    other, measured = ("sha256:" + digit * 64 for digit in "db")
    told, same = (
        json.loads(sent(api, query=f"&target_weights={stated}")["LatentMAS-Result"])["findings"]
        for stated in (other, measured)
    )
    assert f"the receiver's weights {other} are not those the figures were measured with, {measured}" in told
    assert not any("receiver's weights" in finding for finding in same)
    assert sent(api, query="&target_weights=q4").json()["field"] == "target_weights"


def test_outside_of_what_was_calibrated_nothing_is_handed_over(api):
    certified_listing(distribution=Distribution(low=50.0, high=60.0, documents=10))
    document = problem(sent(api), "QUALITY_BELOW_THRESHOLD", 422)
    assert document["facts"]["quality"]["inside"] is False


def test_a_withdrawn_version_is_gone(api):
    listing = certified_listing()
    yank_version(listing, version="1.0.0", reason="a mistake", by=CURATOR)
    assert sent(api, query=f"&w_matrix_listing={listing}&w_matrix_version=1.0.0").status_code == 410
    assert sent(api, query="&w_matrix_version=1.0.0").status_code == 410


def test_a_version_that_is_not_there_names_those_that_are(api):
    certified_listing()
    document = problem(sent(api, query="&w_matrix_version=2.0.0"), "W_MATRIX_NOT_FOUND", 404)
    assert "on offer are 1.0.0" in document["detail"]


def test_a_listing_of_another_pair_is_refused(api):
    listing = certified_listing()
    response = asked(api, target_model="llama-3-8b", source_model=SOURCE, kv_cache=arrays(), w_matrix_listing=listing)
    assert problem(response, "W_MATRIX_NOT_FOUND", 404)["facts"]["came"] == [SOURCE, TARGET]


def test_another_protocol_is_refused(api):
    response = asked(api, protocol="LatentMAS/3.0", kv_cache=arrays(), source_model=SOURCE)
    assert (response.status_code, response.json()["field"]) == (422, "protocol")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kv_cache"),
        ({"kv_cache": {"keys": [[1.0]], "values": [[1.0]]}}, "keys"),
        ({"kv_cache": {"keys": [], "values": [], "kyes": []}}, "kv_cache.kyes"),
        ({"kv_cache": [1]}, "kv_cache"),
        ({"memory": "m", "kv_cache": {"keys": [], "values": []}}, "kv_cache"),
        ({"memory": "m", "target_ids": [1]}, "target_spans"),
        ({"memory": "m", "target_spans": [["a", "b"]]}, "target_spans"),
        ({"memory": "m", "minimum_retention": 2}, "minimum_retention"),
    ],
)
def test_malformed_requests_name_the_field(api, body, field):
    response = asked(api, source_model=SOURCE, **body)
    assert (response.status_code, response.json()["field"]) == (422, field), response.content


def test_two_names_for_one_memory_are_refused(api):
    certified_listing()
    assert sent(api, query="&source_model=llama-3-8b").json()["field"] == "source_model"


def test_what_json_should_not_carry_names_the_way_out(api):
    certified_listing()
    document = problem(sent(api, accept=JSON), "TOO_LARGE", 413)
    assert FILE in document["resolution"]


def test_a_memory_too_large_for_the_target_is_refused_before_it_is_built(api):
    certified_listing()
    data = to_file(Given(memory(2)))
    with override_settings(KV_CACHE_MAX_BYTES=2 * 9216 * 4):
        stored = sent(api, data[: 2 * 9216 * 4 - 1])
    assert stored.status_code == 422  # cut short
    spans = [[0, i + 1] for i in range(20)]
    with override_settings(KV_CACHE_MAX_BYTES=20 * 9216 * 4):
        response = asked(api, source_model=SOURCE, kv_cache=arrays(), target_spans=spans)
    assert problem(response, "TOO_LARGE", 413)["facts"]["size"] == 21 * 9216 * 4


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x00" * 100])
def test_garbage_is_refused(api, data):
    assert sent(api, data).status_code in (413, 422)


def test_the_w_matrix_is_opened_once(api, monkeypatch):
    from marketplace.exchange import kv_cache

    certified_listing()
    sent(api)
    monkeypatch.setattr(kv_cache, "read_w_matrix", None)
    assert sent(api).status_code == 200


def test_the_sample_is_a_w_matrix_of_true_widths(registry):
    assert w_matrix().document.source_dimension == 11_520
