import hashlib
import json

import pytest

from marketplace.listings.lifecycle.commands import yank_version
from marketplace.listings.models import Listing, ListingVersion
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
LIST = "/api/w-matrices"


def test_the_list_shows_basis_certification_and_price(client, certified, simulated):
    first, second = client.get(LIST).json()["results"]
    assert (first["id"], first["basis"], first["certification"]["tier"]) == (certified, "functional", "gold")
    assert first["price"] == {"amount": 0, "currency": "USD"}
    assert first["retention"]["low"] == pytest.approx(0.95)
    assert (second["id"], second["basis"], second["certification"]) == (simulated, "simulated", None)


@pytest.mark.parametrize(
    "query",
    ["source_model=gpt-4", "sourceModel=gpt-4", "source=gpt-4", "family=Meta+LLaMA", "basis=simulated"],
)
def test_the_list_takes_filters_in_every_documented_spelling(client, certified, simulated, query):
    assert [row["id"] for row in client.get(f"{LIST}?{query}").json()["results"]] == [simulated]


def test_the_list_takes_an_alias_of_a_model(client, certified, simulated):
    assert [row["id"] for row in client.get(f"{LIST}?target=llama3-8b").json()["results"]] == [simulated]


def test_simulated_listings_can_be_left_out(client, certified, simulated):
    rows = client.get(f"{LIST}?include_simulated=false").json()["results"]
    assert [row["id"] for row in rows] == [certified]


@pytest.mark.parametrize("count", [5, 50])
def test_the_list_makes_the_same_number_of_queries_for_any_page(client, registry, django_assert_num_queries, count):
    sample.make_many(count)
    with django_assert_num_queries(2):  # the log's head and the page
        assert len(client.get(f"{LIST}?limit=100").json()["results"]) == count


@pytest.mark.parametrize("count", [1, 20])
def test_a_listing_makes_the_same_number_of_queries_for_any_number_of_versions(
    client, certified, django_assert_num_queries, count
):
    for patch in range(1, count):
        sample.publish(certified, f"1.0.{patch}")
    with django_assert_num_queries(2):
        assert len(client.get(f"{LIST}/{certified}").json()["versions"]) == count


def test_the_list_is_followed_by_its_next_address(client, registry):
    sample.make_many(5)
    page = client.get(f"{LIST}?limit=2&basis=simulated").json()
    seen = [row["id"] for row in page["results"]]
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += [row["id"] for row in page["results"]]
    assert len(seen) == len(set(seen)) == 5


def test_an_unchanged_list_is_answered_with_304(client, certified):
    etag = client.get(LIST)["ETag"]
    assert client.get(LIST, headers={"If-None-Match": etag}).status_code == 304
    yank_version(certified, version="1.0.0", reason="Broken.", by=sample.CURATOR)
    assert client.get(LIST, headers={"If-None-Match": etag}).status_code == 200


def test_a_listing_shows_licences_versions_and_its_stream_version(client, certified):
    response = client.get(f"{LIST}/{certified}")
    document = response.json()
    assert response["ETag"] == '"4"'
    assert [licence["licence"] for licence in document["licences"]] == ["Apache-2.0", "Gemma Terms of Use"]
    (version,) = document["versions"]
    assert version["quality"]["retention"]["wrong_document"]["value"] == -0.2
    assert version["certification_status"] == "certified"


def test_a_version_is_addressed_with_its_dots(client, certified):
    document = client.get(f"{LIST}/{certified}/versions/1.0.0").json()
    assert document["version"] == "1.0.0"
    assert document["source_weights"] == "sha256:" + "a" * 64


def test_a_simulated_version_says_so_everywhere(client, simulated):
    for path in ("", "/versions/1.0.0/report"):
        document = client.get(f"{LIST}/{simulated}{path}").json()
        assert (document["basis"], document["certification"]) == ("simulated", None)
    refusal = client.get(f"{LIST}/{simulated}/versions/1.0.0/certificate").json()
    assert (refusal["facts"]["basis"], refusal["facts"]["certification"]) == ("simulated", None)
    (mean,) = client.get(f"{LIST}/statistics").json()["epsilon"]
    assert (mean["basis"], mean["certification"]) == ("simulated", None)
    query = "best?source_model=gpt-4&target_model=llama-3-8b&include_simulated=true"
    assert client.get(f"{LIST}/{query}").json()["certification"] is None
    (target,) = client.get(f"{LIST}/compatible?source_model=gpt-4").json()["targets"]
    assert (target["basis"], target["certification"]) == ("simulated", None)
    digest = Listing.objects.get().file_digest
    (match,) = client.post(f"{LIST}/verify", {"checksum": digest}, "application/json").json()["matches"]
    assert (match["basis"], match["certification"]) == ("simulated", None)


@pytest.mark.parametrize("what", ["file", "report", "manifest", "certificate"])
def test_what_was_yanked_is_gone(client, certified, what):
    yank_version(certified, version="1.0.0", reason="Wrong corpus.", by=sample.CURATOR)
    response = client.get(f"{LIST}/{certified}/versions/1.0.0/{what}")
    assert response.status_code == 410
    assert response.json()["code"] == "VERSION_YANKED"
    assert "Wrong corpus." in response.json()["detail"]


def test_the_report_stands_beside_its_digest(client, certified):
    document = client.get(f"{LIST}/{certified}/versions/1.0.0/report").json()
    canonical = json.dumps(document["report"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert document["digest"] == "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
    assert len(document["report"]["layers"]) == 3


def test_a_certificate_names_the_weights_and_the_file(client, certified):
    document = client.get(f"{LIST}/{certified}/versions/1.0.0/certificate").json()
    assert document["certification"]["tier"] == "gold"
    assert document["file_digest"] == ListingVersion.objects.get().file_digest
    assert document["target_weights"] == "sha256:" + "b" * 64


def test_a_refused_version_has_reasons_for_a_certificate(client, registry):
    identifier = sample.make_listing(quality=sample.functional(0.4))
    response = client.get(f"{LIST}/{identifier}/versions/1.0.0/certificate")
    assert (response.status_code, response.json()["code"]) == (422, "QUALITY_BELOW_THRESHOLD")
    assert "last eighth" in response.json()["facts"]["reasons"][0]


def test_a_version_may_await_its_certificate_or_have_lost_it(client, registry):
    pending = sample.make_listing(certify=False)
    expired = sample.make_listing("qwen-7b", at=sample.AT.replace(year=2020))
    for identifier, detail in ((pending, "awaits"), (expired, "expired on 2021-03-01")):
        document = client.get(f"{LIST}/{identifier}/versions/1.0.0/certificate").json()
        assert (document["code"], document["status"]) == ("NOT_CERTIFIED", 404)
        assert detail in document["detail"]


def test_best_returns_the_certified_version(client, certified):
    query = {"sourceModel": sample.SOURCE, "targetModel": sample.TARGET, "minCertification": "gold"}
    document = client.get(f"{LIST}/best", query).json()
    assert document["listing_id"] == certified
    assert document["file_url"] == f"{LIST}/{certified}/versions/1.0.0/file"


def test_best_says_what_to_do_where_nothing_fits(client, simulated):
    response = client.get(f"{LIST}/best", {"source_model": "gpt-4", "target_model": "llama-3-8b"})
    assert response.status_code == 404
    assert response.json()["code"] == "W_MATRIX_NOT_FOUND"
    assert "include_simulated=true" in response.json()["resolution"]


def test_compatible_names_each_target_once(client, registry):
    sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured())
    sample.make_listing("gpt-4", "qwen-7b", quality=sample.functional(0.9))
    document = client.get(f"{LIST}/compatible?sourceModel=gpt-4").json()
    assert document["source_model"] == "gpt-4"
    assert [each["target_model"] for each in document["targets"]] == ["qwen-7b", "llama-3-8b"]


def test_statistics_count_what_is_on_offer(client, certified, simulated):
    document = client.get(f"{LIST}/statistics").json()
    assert document["listings"] == 2
    assert document["by_tier"]["gold"] == 1
    assert {each["basis"] for each in document["epsilon"]} == {"functional", "simulated"}
