"""The target's tokens with their first layer: beside a memory's file, its id, or small arrays."""

import io
import json
from typing import Any

import numpy as np
import pytest
from django.test import Client

from kvcache.server.payloads import Given, to_file
from kvcache.server.queries import get_adapter
from latentmas.protocol import tensors
from latentmas.protocol.snapshot import write_snapshot
from tests.marketplace.exchange.sample import certified_listing, memory
from tests.marketplace.exchange.test_kv_cache_api import FILE, INTO, arrays, asked, problem
from tests.marketplace.sample import SOURCE, TARGET

pytestmark = pytest.mark.django_db
SPANS = np.array([(0, 0), (0, 1), (1, 2), (2, 4)], np.int32)
TOKENS = {"kind": "target-tokens", "version": 1}


def width() -> int:
    geometry = get_adapter(TARGET).geometry
    assert geometry is not None
    return geometry.layer_width


def correcting_listing() -> str:
    geometry = get_adapter(TARGET).geometry
    assert geometry is not None
    generator = np.random.default_rng(3)
    return certified_listing(
        more={
            "correction_encoder": generator.normal(size=(2 * width(), 2)).astype("f2") / 30,
            "correction_decoder": generator.normal(size=(2, geometry.width)).astype("f2"),
        }
    )


def layer(tokens: int = len(SPANS)) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(tokens, width())).astype("f4")


def written(document: dict[str, Any], parts: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    tensors.write(file, parts, document)
    return file.getvalue()


def with_tokens(**tokens: Any) -> bytes:
    """A raw snapshot with further tensors."""
    return write_snapshot(memory(2), **tokens)


def result(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    return dict(json.loads(response["LatentMAS-Result"]))


def sent(api: Client, data: bytes, query: str = "") -> Any:
    return api.post(INTO + query, data, FILE, headers={"Accept": FILE})


def invalid(response: Any) -> dict[str, Any]:
    assert response.status_code == 422, response.content
    assert response.json()["code"] == "INVALID_INPUT"
    return dict(response.json())


def test_a_snapshots_file_may_carry_the_first_layer(api):
    correcting_listing()
    plain = sent(api, with_tokens(target_spans=SPANS))
    done = sent(api, with_tokens(target_spans=SPANS, target_first_layer=layer()))
    assert (result(plain)["corrected"], result(done)["corrected"]) == (False, True)
    assert result(plain)["alignment_quality"]["retention"] is None
    assert result(done)["alignment_quality"]["retention"] == 0.97
    assert done.content != plain.content


def test_beside_a_memorys_id_the_body_is_the_targets_tokens(api):
    correcting_listing()
    stored = api.post("/api/stored-memories", to_file(Given(memory(2))), FILE).json()["id"]
    tokens = {"target_spans": SPANS, "target_first_layer": layer()}
    done = sent(api, written(TOKENS, tokens), f"&memory={stored}")
    assert result(done)["corrected"]
    assert done.content == sent(api, with_tokens(**tokens)).content


def test_a_small_first_layer_goes_as_json(api):
    correcting_listing()
    body = {"target_spans": SPANS[:2].tolist(), "target_first_layer": layer(2).round(3).tolist()}
    response = asked(api, source_model=SOURCE, kv_cache=arrays(), **body)
    assert response.status_code == 200, response.content
    document = response.json()
    assert document["corrected"] is True
    keys, values = (np.array(document["aligned_kv_cache"][name])[0, 1].ravel() for name in ("keys", "values"))
    np.testing.assert_allclose(values, layer(2)[1, len(keys) :], atol=2e-3)


def test_source_tokens_are_not_corrected_and_said_so(api):
    correcting_listing()
    done = result(sent(api, to_file(Given(memory(2)))))
    assert (done["mode"], done["corrected"]) == ("source-tokens", False)
    assert any("the target's tokens were not given" in finding for finding in done["findings"])


def test_a_minimum_is_not_reached_without_the_first_layer_where_the_plain_map_was_not_measured(api):
    correcting_listing()
    document = problem(
        sent(api, with_tokens(target_spans=SPANS), "&minimum_retention=0.5"), "QUALITY_BELOW_THRESHOLD", 422
    )
    assert "was not measured" in document["facts"]["reason"]
    assert "target_first_layer" in document["resolution"]


def test_a_first_layer_of_another_shape_is_a_dimension_mismatch(api):
    correcting_listing()
    document = problem(
        sent(api, with_tokens(target_spans=SPANS, target_first_layer=layer(3))), "DIMENSION_MISMATCH", 422
    )
    assert document["field"] == "target_first_layer"
    assert document["facts"]["expected"] == [4, width()]
    assert document["facts"]["came"] == [3, width()]


def test_a_first_layer_without_spans_means_nothing(api):
    correcting_listing()
    assert invalid(sent(api, with_tokens(target_first_layer=layer())))["field"] == "target_spans"


@pytest.mark.parametrize("row", [["a"], [1.0, None], [[1.0]]])
def test_a_first_layer_that_is_no_numbers_is_refused(api, row):
    response = asked(api, memory="m", target_spans=[[0, 1]], target_first_layer=[row])
    assert invalid(response)["field"] == "target_first_layer"


def test_a_memory_in_the_body_beside_an_id_is_refused(api):
    correcting_listing()
    stored = api.post("/api/stored-memories", to_file(Given(memory(2))), FILE).json()["id"]
    document = invalid(sent(api, with_tokens(), f"&memory={stored}"))
    assert "target's tokens alone" in document["detail"]


def test_tokens_alone_are_no_memory(api):
    invalid(sent(api, written(TOKENS, {"target_spans": SPANS})))


def test_strangers_among_a_memorys_tensors_are_refused_with_those_that_are_known(api):
    document = invalid(sent(api, with_tokens(queries=layer())))
    assert document["detail"].startswith("a KV snapshot has no tensor 'queries'; known are keys, values, positions")
    assert (document["detail"].endswith("target_first_layer, reread_positions"), document["field"]) == (True, "body")


def test_strangers_among_the_tokens_are_refused(api):
    stored = api.post("/api/stored-memories", to_file(Given(memory(2))), FILE).json()["id"]
    response = sent(api, written(TOKENS, {"target_spans": SPANS, "keys": layer()}), f"&memory={stored}")
    assert "no tensor 'keys'" in invalid(response)["detail"]
