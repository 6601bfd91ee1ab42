"""`POST /api/latentmas/vectors/align`, as version 1.0 and as version 2.0 call it."""

import io
import json
from typing import Any

import numpy as np
import pytest
from django.test import Client, override_settings

from latentmas.protocol import tensors
from latentmas.rest.scopes import KV_CACHE_COMPUTE, VECTORS_ALIGN
from marketplace.listings.lifecycle.commands import yank_version
from tests.marketplace.exchange.vector_sample import mapped, retrieving, vector_listing
from tests.marketplace.sample import CURATOR, SOURCE, TARGET, make_listing

pytestmark = pytest.mark.django_db
ALIGN = "/api/latentmas/vectors/align"
FILE = "application/vnd.safetensors"
PAIR = {"source_model": SOURCE, "target_model": TARGET}
VECTOR = [0.5, -1.0, 2.0, 0.0, 1.5, -0.25]


@pytest.fixture
def api(registry, client_with) -> Client:
    """A client with a token that may align vectors and nothing else."""
    return client_with(VECTORS_ALIGN)


def asked(api: Client, **body: Any) -> Any:
    return api.post(ALIGN, json.dumps(PAIR | body), "application/json")


def problem(response: Any, status: int) -> Any:
    assert response.status_code == status, response.content
    return response.json()


def test_a_vector_comes_back_in_the_targets_space_with_its_quality(api):
    listing = vector_listing()
    response = asked(api, protocol="LatentMAS/2.0", vector=VECTOR)
    assert response.status_code == 200, response.content
    answer = response.json()
    np.testing.assert_allclose(answer["aligned_vector"], mapped([VECTOR])[0], rtol=1e-4)
    quality = answer["alignment_quality"]
    assert (quality["basis"], quality["candidates"]) == ("functional", 200)
    assert quality["quality"] == pytest.approx(0.6)
    assert quality["top1"]["low"] == quality["confidence"] == pytest.approx(0.55)
    assert answer["w_matrix"]["listing_id"] == listing
    assert answer["w_matrix"]["certification"]["tier"] == "bronze"
    assert answer["count"] == 1


def test_calls_of_version_1_keep_working(api):
    vector_listing()
    body = {"protocol": "LatentMAS/1.0", "sourceModel": SOURCE, "targetModel": TARGET, "vector": VECTOR}
    response = api.post(ALIGN, json.dumps(body), "application/json")
    assert response.status_code == 200, response.content
    assert response.json()["protocol"] == "LatentMAS/1.0"
    assert problem(asked(api, protocol="LatentMAS/3.0", vector=VECTOR), 422)["field"] == "protocol"


def test_several_vectors_come_back_in_order(api):
    vector_listing()
    answer = asked(api, vectors=[VECTOR, VECTOR[::-1]]).json()
    np.testing.assert_allclose(answer["aligned_vectors"], mapped([VECTOR, VECTOR[::-1]]), rtol=1e-4)


def test_they_have_length_one_where_that_is_asked_for(api):
    vector_listing()
    aligned = np.array(asked(api, vector=VECTOR, normalise=True).json()["aligned_vector"])
    expected = mapped([VECTOR])[0]
    np.testing.assert_allclose(aligned, expected / np.linalg.norm(expected), rtol=1e-4)


def test_a_file_goes_in_and_a_file_comes_out(api):
    vector_listing()
    vectors = np.random.default_rng(1).normal(size=(50, 6)).astype("f4")
    file = io.BytesIO()
    tensors.write(file, {"vectors": vectors}, {"kind": "vectors", "version": 1})
    address = f"{ALIGN}?source_model={SOURCE}&target_model={TARGET}"
    response = api.post(address, file.getvalue(), FILE, headers={"Accept": FILE})
    assert response.status_code == 200, response.content
    aligned = tensors.parse_tensors(response.content, max_bytes=1 << 20).read("vectors")
    np.testing.assert_allclose(aligned, mapped(vectors), rtol=1e-3, atol=1e-4)
    assert json.loads(response["LatentMAS-Result"])["count"] == 50


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"vector": VECTOR[:5]}, "DIMENSION_MISMATCH", "vectors"),
        ({"vector": [*VECTOR[:5], 1e39]}, "INVALID_INPUT", "vector"),
        ({"vectors": [VECTOR, VECTOR[:3]]}, "INVALID_INPUT", "vectors"),
        ({"vectors": []}, "INVALID_INPUT", "vectors"),
        ({"vector": VECTOR, "vectors": [VECTOR]}, "INVALID_INPUT", "vectors"),
        ({}, "INVALID_INPUT", "vectors"),
        ({"vector": VECTOR, "policy": {"minimum_quality": 0.7}}, "QUALITY_BELOW_THRESHOLD", "minimum_quality"),
        ({"vector": VECTOR, "policy": {"minimum_quality": 7}}, "INVALID_INPUT", "policy.minimum_quality"),
        ({"vector": VECTOR, "target_model": SOURCE}, "INVALID_INPUT", "target_model"),
    ],
)
def test_it_refuses_what_cannot_be_aligned(api, body, code, field):
    vector_listing()
    answer = problem(asked(api, **body), 422)
    assert answer["code"] == code
    assert answer["field"] == field


def test_a_width_that_does_not_fit_says_what_was_expected(api):
    vector_listing()
    facts = problem(asked(api, vector=VECTOR[:5]), 422)["facts"]
    assert (facts["expected"], facts["came"]) == (6, 5)


def test_the_policy_may_also_stand_beside_the_other_parameters(api):
    vector_listing()
    assert asked(api, vector=VECTOR, minimum_quality=0.59).status_code == 200
    assert problem(asked(api, vector=VECTOR, minimum_quality=0.61), 422)["code"] == "QUALITY_BELOW_THRESHOLD"


def test_a_pair_without_a_map_of_vectors_is_told_where_to_look(api):
    make_listing()  # of KV-caches, which is something else
    answer = problem(asked(api, vector=VECTOR), 404)
    assert answer["code"] == "W_MATRIX_NOT_FOUND"
    assert f"/api/w-matrices/compatible?source_model={SOURCE}&space=embedding" in answer["resolution"]


def test_an_uncertified_map_is_used_only_where_the_policy_allows_it(api):
    vector_listing(quality=retrieving(0.01, spread=0.01))
    assert problem(asked(api, vector=VECTOR), 404)["code"] == "W_MATRIX_NOT_FOUND"
    assert asked(api, vector=VECTOR, policy={"require_certificate": False}).status_code == 200
    answer = problem(asked(api, vector=VECTOR, w_matrix_version="1.0.0"), 422)
    assert answer["code"] == "QUALITY_BELOW_THRESHOLD"


def test_a_version_can_be_named(api):
    listing = vector_listing()
    assert asked(api, vector=VECTOR, w_matrix_version="1.0.0").status_code == 200
    answer = problem(asked(api, vector=VECTOR, w_matrix_version="2.0.0"), 404)
    assert (answer["code"], answer["facts"]["came"]) == ("W_MATRIX_NOT_FOUND", ["1.0.0"])
    yank_version(listing, version="1.0.0", reason="test", by=CURATOR)
    assert problem(asked(api, vector=VECTOR, w_matrix_version="1.0.0"), 404)["code"] == "W_MATRIX_NOT_FOUND"


def test_an_unknown_model_is_not_supported(api):
    assert problem(asked(api, vector=VECTOR, source_model="nobody"), 404)["code"] == "MODEL_NOT_SUPPORTED"


def test_a_token_needs_the_scope(registry, client_with, client):
    assert asked(client, vector=VECTOR).status_code == 401
    other = client_with(KV_CACHE_COMPUTE)
    assert problem(asked(other, vector=VECTOR), 403)["detail"].startswith("this token lacks the scope 'vectors:align'")


def test_more_than_the_limit_is_refused(api):
    vector_listing()
    with override_settings(KV_CACHE_MAX_BYTES=40):
        assert problem(asked(api, vectors=[VECTOR] * 2), 413)["facts"]["limit"] == 40
