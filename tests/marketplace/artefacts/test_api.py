"""List a memory over HTTP, find it, change it."""

from uuid import uuid4

import pytest
from django.test import Client

from latentmas import blobs
from latentmas.jobs.models import Job
from latentmas.protocol.snapshot import read_snapshot
from marketplace.artefacts.models import Artefact, ArtefactText, ArtefactVersion
from tests.marketplace.artefacts.sample import screen
from tests.marketplace.artefacts.selling import OFFER, kept, post, selling, sold
from tests.marketplace.sample import SOURCE

pytestmark = pytest.mark.django_db


def test_a_stored_memory_is_listed_and_waits_for_its_screening(shop, seller):
    card = sold(shop)
    assert (card["seller"], card["model"], card["version"]) == (seller, SOURCE, None)
    (version,) = card["versions"]
    assert (version["screening"], version["tokens"], version["next_position"]) == ("pending", 10, 10)
    assert version["geometry"] == {"layers": 30, "heads": 3, "head_dim": 64, "width": 11520}
    assert version["rights"] == "My own words."
    job = Job.objects.get()
    assert (job.kind, job.arguments) == ("memory.screen", {"artefact_id": card["id"], "version": "1.0.0"})
    assert Client().get(card["url"]).status_code == 404
    assert Client().get("/api/memories").json()["results"] == []


def test_what_is_screened_is_on_sale(shop):
    card = sold(shop)
    screen(card["id"])
    shown = Client().get(card["url"]).json()
    assert (shown["version"], shown["tokens"], shown["uniqueness"]) == ("1.0.0", 10, 0.8)
    assert shown["retention"] == {"value": 0.97, "low": 0.95, "high": 0.99}
    (found,) = Client().get("/api/memories").json()["results"]
    assert found == {name: shown[name] for name in found}


def test_the_card_says_what_a_buyer_should_know(shop):
    card = sold(shop)
    screen(card["id"], retention=None)
    notices = " ".join(Client().get(card["url"]).json()["notices"])
    assert "unread prompt" in notices
    assert "not promised" in notices
    assert "not been measured" in notices


def test_a_refused_version_is_seen_by_its_seller_and_curators_alone(shop, curator):
    card = sold(shop)
    screen(card["id"], findings=("A text holds a private key.",))
    assert Client().get(card["url"]).status_code == 404
    for client in (shop, curator):
        (version,) = client.get(card["url"]).json()["versions"]
        assert (version["screening"], version["findings"]) == ("refused", ["A text holds a private key."])


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"invertible": False}, 422, "RIGHTS_NOT_STATED"),
        ({"rights": "\x07"}, 422, "INVALID_INPUT"),
        ({"memory": "0" * 32}, 404, "NOT_FOUND"),
        ({"version": "1"}, 422, "INVALID_INPUT"),
        ({"discount": 51}, 422, "INVALID_INPUT"),
        ({"price": {"amount": -1}}, 422, "INVALID_INPUT"),
        ({"canary": 10}, 422, "INVALID_INPUT"),
        ({"parents": [{"artefact": str(uuid4())}]}, 404, "NOT_FOUND"),
        ({"secret": 1}, 422, "INVALID_INPUT"),
    ],
)
def test_what_cannot_be_listed_is_refused_and_leaves_nothing(shop, more, status, code):
    response = post(shop, "/api/memories", OFFER | {"memory": kept(shop)} | more)
    assert (response.status_code, response.json()["code"]) == (status, code), response.json()
    assert not Artefact.objects.exists()
    assert not ArtefactText.objects.exists()
    assert not Job.objects.exists()


def test_a_listing_without_the_sellers_agreement_is_refused(shop):
    body = {name: value for name, value in OFFER.items() if name != "invertible"}
    response = post(shop, "/api/memories", body | {"memory": kept(shop)})
    assert (response.status_code, response.json()["field"]) == (422, "invertible")


def test_another_version_is_another_file(shop):
    card = sold(shop)
    body = {"rights": "Mine.", "invertible": True}
    again = post(
        shop, f"{card['url']}/versions", body | {"memory": kept(shop), "version": "1.1.0"}, seen=card["stream_version"]
    )
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")
    response = post(
        shop,
        f"{card['url']}/versions",
        body | {"memory": kept(shop, 7), "version": "1.1.0"},
        seen=card["stream_version"],
    )
    assert [each["version"] for each in response.json()["versions"]] == ["1.1.0", "1.0.0"]
    lower = body | {"memory": kept(shop, 5), "version": "1.0.5"}
    stream = response.json()["stream_version"]
    assert post(shop, f"{card['url']}/versions", lower, seen=stream).status_code == 409


def test_a_change_says_what_it_has_seen(shop):
    card = sold(shop)
    price = {"price": 900, "floor": 100, "discount": 10}
    path = f"{card['url']}/price"
    assert shop.put(path, price, "application/json").status_code == 428
    assert shop.put(path, price, "application/json", headers={"If-Match": '"1"'}).status_code == 412
    changed = shop.put(path, price, "application/json", headers={"If-Match": f'"{card["stream_version"]}"'}).json()
    assert (changed["price"], changed["floor"], changed["discount"]) == ({"amount": 900, "currency": "USD"}, 100, 10)
    other = shop.put(
        path,
        {"price": {"amount": 1, "currency": "EUR"}},
        "application/json",
        headers={"If-Match": f'"{changed["stream_version"]}"'},
    )
    assert other.status_code == 422


def test_only_its_seller_changes_it(shop, other_agent):
    card = sold(shop)
    screen(card["id"])
    bob = selling(other_agent)
    response = post(bob, f"{card['url']}/withdraw", {"reason": "x"}, seen=5)
    assert (response.status_code, response.json()["code"]) == (403, "NOT_YOUR_ARTEFACT")


def test_a_withdrawn_memory_is_off_sale_but_on_record(shop):
    card = sold(shop, canary=4)
    screen(card["id"])
    seen = shop.get(card["url"]).json()["stream_version"]
    assert post(shop, f"{card['url']}/withdraw", {"reason": "Sold out."}, seen=seen).status_code == 200
    assert Client().get("/api/memories").json()["results"] == []
    shown = Client().get(card["url"]).json()
    assert (shown["version"], shown["withheld_reason"]) == (None, "Sold out.")
    gone = Client().get(f"{card['url']}/canary")
    assert (gone.status_code, gone.json()["code"]) == (410, "ARTEFACT_WITHDRAWN")
    again = post(shop, f"{card['url']}/withdraw", {"reason": "Again."}, seen=shown["stream_version"])
    assert again.status_code == 410


def test_a_curator_stops_it_and_lets_it_go_on(shop, curator):
    card = sold(shop)
    screen(card["id"])
    seen = shop.get(card["url"]).json()["stream_version"]
    stopped = post(curator, f"{card['url']}/quarantine", {"reason": "A report."}, seen=seen).json()
    refused = Client().get(card["url"])
    assert (refused.status_code, refused.json()["code"]) == (403, "ARTEFACT_QUARANTINED")
    price = shop.put(
        f"{card['url']}/price", {"price": 1}, "application/json", headers={"If-Match": f'"{stopped["stream_version"]}"'}
    )
    assert price.status_code == 403
    post(curator, f"{card['url']}/release", {"reason": "Unfounded."}, seen=stopped["stream_version"])
    assert Client().get(card["url"]).json()["version"] == "1.0.0"


def test_the_canary_is_the_beginning_and_free(shop):
    card = sold(shop, canary=4)
    screen(card["id"])
    response = Client().get(f"{card['url']}/canary")
    part, _ = read_snapshot(b"".join(response.streaming_content))
    assert (part.frame.tokens, part.frame.next_position, part.frame.model) == (4, 4, SOURCE)
    (version,) = Client().get(card["url"]).json()["versions"]
    assert version["canary"]["digest"] == f"sha256:{response['ETag'][8:-1]}"


def test_where_nothing_is_given_away_there_is_no_canary(shop):
    card = sold(shop)
    screen(card["id"])
    assert Client().get(f"{card['url']}/canary").status_code == 404


def test_the_file_outlives_the_stored_memory(shop, django_capture_on_commit_callbacks):
    stored = kept(shop)
    card = post(shop, "/api/memories", OFFER | {"memory": stored}).json()
    with django_capture_on_commit_callbacks(execute=True):
        assert shop.delete(f"/api/stored-memories/{stored}").status_code == 204
    assert blobs.exists(card["versions"][0]["file"]["digest"])


def test_lists_are_filtered_and_paged(shop):
    for amount, tokens in ((300, 5), (100, 7), (200, 9)):
        stored = kept(shop, tokens)
        card = post(shop, "/api/memories", OFFER | {"memory": stored, "price": amount}).json()
        screen(card["id"])
    page = Client().get("/api/memories?limit=2").json()
    assert [each["price"]["amount"] for each in page["results"]] == [100, 200]
    rest = Client().get(f"/api/memories?limit=2&cursor={page['next_cursor']}").json()
    assert [each["price"]["amount"] for each in rest["results"]] == [300]

    def found(query):
        return [each["price"]["amount"] for each in Client().get(f"/api/memories?{query}").json()["results"]]

    assert found("price_max=200") == [100, 200]
    assert found("tokens_min=8&tokens_max=9") == [100]
    assert found("model=SmolLM2-135M") == [100, 200, 300]
    assert found(f"seller={uuid4()}") == []
    assert Client().get("/api/reasoning-chains").json()["results"] == []


def test_an_unchanged_list_is_not_sent_again(shop):
    screen(sold(shop)["id"])
    first = Client().get("/api/memories")
    assert Client().get("/api/memories", headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_the_same_request_lists_once(shop):
    body = OFFER | {"memory": kept(shop)}
    headers = {"Idempotency-Key": "one"}
    first, again = (shop.post("/api/memories", body, "application/json", headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert ArtefactVersion.objects.count() == 1


def test_a_list_asks_the_database_a_fixed_number_of_times(shop, django_assert_num_queries):
    for tokens in range(3, 8):
        card = post(shop, "/api/memories", OFFER | {"memory": kept(shop, tokens)}).json()
        screen(card["id"])
    with django_assert_num_queries(1):
        Client().get("/api/memories")


def test_lineage_over_http(shop, seller):
    parent = sold(shop)
    stored = kept(shop, 5)
    parents = [{"artefact": parent["id"], "royalty_basis_points": 1000}]
    child = post(shop, "/api/memories", OFFER | {"memory": stored, "parents": parents}).json()
    screen(parent["id"])
    screen(child["id"])
    found = Client().get(f"{child['url']}/lineage").json()
    assert found["ancestors"] == [
        {"artefact": parent["id"], "by": child["id"], "generation": 1, "royalty_basis_points": 1000}
    ]
    assert found["royalties"] == [{"agent": seller, "artefact": parent["id"], "basis_points": 1000}]
    (below,) = Client().get(f"{parent['url']}/lineage").json()["descendants"]
    assert (below["artefact"], below["generation"]) == (child["id"], -1)
    body = {"rights": "Mine.", "invertible": True, "memory": kept(shop, 6), "version": "1.1.0"}
    body["parents"] = [{"artefact": child["id"]}]
    seen = shop.get(parent["url"]).json()["stream_version"]
    refused = post(shop, f"{parent['url']}/versions", body, seen=seen)
    assert (refused.status_code, refused.json()["code"]) == (409, "LINEAGE_CYCLE")
    assert Client().get(f"{parent['url']}/lineage").json()["ancestors"] == []


@pytest.mark.parametrize("shares", [[3001], [2000, 1001]])
def test_royalties_above_their_bound_are_refused_and_nothing_is_published(shop, shares):
    parents = [
        {"artefact": sold(shop, title=f"Parent {share}")["id"], "royalty_basis_points": share} for share in shares
    ]
    before = Artefact.objects.count()
    refused = post(shop, "/api/memories", OFFER | {"memory": kept(shop), "parents": parents})
    assert (refused.status_code, refused.json()["code"]) == (422, "ROYALTIES_TOO_HIGH")
    assert Artefact.objects.count() == before


def test_publishing_is_a_scope_of_its_own(shop, publisher):
    assert post(publisher, "/api/memories", OFFER | {"memory": kept(shop)}).status_code == 403
    assert post(Client(), "/api/memories", OFFER | {"memory": kept(shop)}).status_code == 401


def test_a_memory_of_another_login_cannot_be_sold(shop, other_agent):
    bob = selling(other_agent)
    assert post(bob, "/api/memories", OFFER | {"memory": kept(shop)}).status_code == 404
