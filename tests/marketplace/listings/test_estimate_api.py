import pytest

from marketplace.listings.lifecycle.commands import yank_version
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
PATH = "/api/w-matrices/estimate"
STRANGERS = {"source_model": "llama-3-8b", "target_model": "qwen-7b"}
PAIR = {"source_model": sample.SOURCE, "target_model": sample.TARGET}


@pytest.fixture
def both(registry):
    """Both directions of one pair, measured: one certified, one refused."""
    forth = sample.make_listing(quality=sample.functional(0.866))
    back = sample.make_listing(sample.TARGET, sample.SOURCE, quality=sample.functional(0.4, eighth=0.5))
    return forth, back


def test_two_measured_pairs_give_a_wide_interval_and_the_answer_says_so(client, both):
    document = client.get(PATH, STRANGERS).json()
    assert (document["source_model"], document["target_model"]) == ("llama-3-8b", "qwen-7b")
    assert (document["known"], document["pairs"], document["measured"]) == ("almost nothing", 2, None)
    assert document["knowledge"].startswith("Almost nothing is known: this estimate rests on 2 measured pairs")
    retention = document["estimated_retention"]
    assert retention["low"] < 0.3 < retention["value"] < 0.9 < retention["high"]
    assert retention["coverage"] == 0.95


def test_an_estimate_does_not_look_like_a_measurement(client, both):
    document = client.get(PATH, STRANGERS).json()
    assert (document["basis"], document["certification"]) == ("estimated", None)
    assert not {"retention", "epsilon", "quality", "confidence"} & set(document)


def test_what_it_rests_on_is_named_with_figures_certificates_and_addresses(client, both):
    rests_on = {each["listing_id"]: each for each in client.get(PATH, STRANGERS).json()["rests_on"]}
    forth, back = (rests_on[each] for each in both)
    assert forth["retention"] == {"value": 0.866, "low": 0.846, "high": 0.886}
    assert (forth["basis"], forth["certification"]["tier"]) == ("functional", "bronze")
    assert (back["basis"], back["certification"]) == ("functional", None)  # a refused pair is evidence too
    assert forth["relation"] == "other families"
    assert client.get(forth["url"]).json()["id"] == both[0]


def test_a_pair_that_was_measured_is_named_with_its_certificate(client, both):
    document = client.get(PATH, PAIR).json()
    assert (document["measured"]["listing_id"], document["measured"]["certification"]["tier"]) == (both[0], "bronze")
    assert document["measured"]["url"] == f"/api/w-matrices/{both[0]}"
    assert "This very pair was measured: 0.866" in document["knowledge"]
    assert [each["relation"] for each in document["rests_on"]] == ["same families, reversed"]


def test_of_two_measurements_of_a_pair_the_certified_one_is_named(client, both):
    sample.make_listing(
        quality=sample.functional(0.9, eighth=0.95), listing_id="00000000-0000-4000-8000-000000000001", seller="agent:2"
    )
    document = client.get(PATH, PAIR).json()
    assert document["measured"]["listing_id"] == both[0]
    assert client.get(PATH, STRANGERS).json()["pairs"] == 2


def test_only_measured_retention_is_evidence(client, shelf):
    document = client.get(PATH, STRANGERS).json()
    assert [each["listing_id"] for each in document["rests_on"]] == [shelf["functional"]]


def test_without_evidence_no_figure_is_given(client, simulated):
    document = client.get(PATH, {"source_model": "gpt-4", "target_model": "llama-3-8b"}).json()
    assert document["estimated_retention"] == {"value": None, "low": 0.0, "high": 1.0, "coverage": 0.95}
    assert (document["known"], document["rests_on"], document["measured"]) == ("nothing", [], None)


def test_a_yanked_measurement_is_no_evidence(client, both):
    for identifier in both:
        yank_version(identifier, version="1.0.0", reason="Wrong corpus.", by=sample.CURATOR)
    assert client.get(PATH, STRANGERS).json()["known"] == "nothing"


def test_it_takes_aliases_and_camel_case(client, both):
    document = client.get(PATH, {"sourceModel": "llama3-8b", "targetModel": "qwen-7b"}).json()
    assert document["source_model"] == "llama-3-8b"


@pytest.mark.parametrize(
    ("changes", "status", "code", "word"),
    [
        ({"source_model": "llama-3-8bb"}, 404, "MODEL_NOT_SUPPORTED", "did you mean 'llama-3-8b'"),
        ({"target_model": "bert"}, 404, "MODEL_NOT_SUPPORTED", "keeps no KV-cache"),
        ({"target_model": "llama3-8b"}, 422, "INVALID_INPUT", "same model"),
        ({"target_model": ""}, 422, "INVALID_INPUT", "required"),
        ({"space": "embedding"}, 422, "INVALID_INPUT", "unknown parameter"),
    ],
)
def test_it_says_what_is_wrong_with_a_pair(client, load_models, changes, status, code, word):
    load_models("llama-3-8b", "qwen-7b", "bert")
    response = client.get(PATH, STRANGERS | changes)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert word in response.json()["detail"]


@pytest.mark.parametrize("count", [2, 6])
def test_it_makes_the_same_number_of_queries_for_any_catalogue(client, registry, django_assert_num_queries, count):
    names = ("gpt-4", "llama-3-8b", "qwen-7b", sample.SOURCE)
    for source, target in [(one, two) for one in names for two in names if one != two][:count]:
        sample.make_listing(source, target, quality=sample.functional(0.8))
    with django_assert_num_queries(6):
        assert client.get(PATH, PAIR).json()["pairs"] == count
