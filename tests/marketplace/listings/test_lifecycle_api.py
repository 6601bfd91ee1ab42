"""Changes of a listing over REST: who may, by which version, and what comes back."""

import pytest

from latentmas.events.changes import read_changes
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle import commands
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.models import Listing, ListingMember
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
W_MATRICES = "/api/w-matrices"


@pytest.fixture
def listing(registry, seller):
    return sample.make_listing(seller=seller)


def change(client, method, path, body=None, *, etag=None):
    etag = etag or f'"{Listing.objects.get().stream_version}"'
    return getattr(client, method)(path, body or {}, "application/json", headers={"If-Match": etag})


REASON = {"reason": "Because."}
ROUTES = [
    ("put", "aliases/stable", {"version": "1.0.0"}, ("aliases", {"stable": "1.0.0"})),
    ("put", "price", {"price": {"amount": 7, "currency": "EUR"}}, ("price", {"amount": 7, "currency": "EUR"})),
    (
        *("put", "split", {"creator": 70, "platform": 20, "validators": 10}),
        ("split", {"creator": 70, "platform": 20, "validators": 10}),
    ),
    ("put", "access", {"access": "gated"}, ("access", "gated")),
    ("post", "delist", REASON, ("withheld_reason", "Because.")),
    ("post", "versions/1.0.0/yank", REASON, ("version", None)),
    ("post", "versions/1.0.0/deprecate", REASON, ("version", "1.0.0")),
]


@pytest.mark.parametrize(("method", "path", "body", "expected"), ROUTES, ids=[route[1] for route in ROUTES])
def test_a_seller_changes_its_listing(publisher, other_agent, client, listing, method, path, body, expected):
    address = f"{W_MATRICES}/{listing}/{path}"
    assert change(client, method, address, body).status_code == 401
    refused = change(other_agent("mallory")[1], method, address, body)
    assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
    missing = getattr(publisher, method)(address, body, "application/json")
    assert (missing.status_code, missing.json()["code"]) == (428, "PRECONDITION_REQUIRED")
    assert change(publisher, method, address, body, etag='"1"').status_code == 412
    unknown = change(publisher, method, address, body | {"more": 1})
    assert unknown.status_code == 422
    before = Listing.objects.get().stream_version

    done = change(publisher, method, address, body)
    assert (done.status_code, done["ETag"]) == (200, f'"{before + 1}"'), done.json()
    name, value = expected
    assert done.json()[name] == value


def test_a_deprecation_names_its_successor(publisher, listing):
    sample.publish(listing, "1.1.0")
    done = change(
        publisher, "post", f"{W_MATRICES}/{listing}/versions/1.0.0/deprecate", REASON | {"successor": "1.1.0"}
    )
    (old,) = [each for each in done.json()["versions"] if each["version"] == "1.0.0"]
    assert (old["deprecation"]["reason"], old["deprecation"]["successor"]) == ("Because.", "1.1.0")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("price", {"price": -1}, "price"),
        ("price", {"price": 0.5}, "price"),
        ("split", {"creator": 80, "platform": 15, "validators": 6}, "split"),
        ("split", {"creator": 60, "platform": 5, "validators": 35}, "split.platform"),
        ("access", {"access": "secret"}, "access"),
        ("aliases/1.0.0", {"version": "1.0.0"}, "name"),
    ],
)
def test_bad_input_changes_nothing(publisher, listing, path, body, field):
    before = Listing.objects.get().stream_version
    refused = change(publisher, "put", f"{W_MATRICES}/{listing}/{path}", body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert Listing.objects.get().stream_version == before


def test_only_a_curator_quarantines_and_releases(publisher, curator, listing):
    path = f"{W_MATRICES}/{listing}"
    assert change(publisher, "post", f"{path}/quarantine", REASON).status_code == 403
    assert change(curator, "post", f"{path}/quarantine", REASON).json()["withheld_reason"] == "Because."
    refused = change(publisher, "put", f"{path}/price", {"price": 5})
    assert (refused.status_code, refused.json()["code"]) == (403, "LISTING_QUARANTINED")
    assert change(curator, "post", f"{path}/versions/1.0.0/yank", REASON).status_code == 200
    assert change(curator, "post", f"{path}/release", REASON).json()["quarantined_at"] is None


def test_a_listing_is_handed_over_to_an_agent_that_accepts_it(publisher, other_agent, seller, listing):
    bob, other = other_agent("bob")
    path = f"{W_MATRICES}/{listing}/transfer"
    assert change(publisher, "post", path, {"agent": "0" * 36}).status_code == 404
    commands.change_access(listing, access=Access.PRIVATE, by=sample.CURATOR)
    assert (other.get(f"{W_MATRICES}/{listing}").status_code, other.get("/api/transfers").json()) == (
        404,
        {"results": []},
    )
    offered = change(publisher, "post", path, {"agent": bob})
    assert (offered.status_code, offered.json()["seller"]) == (200, seller)
    (offer,) = other.get("/api/transfers").json()["results"]
    assert (offer["listing_id"], offer["seller"]) == (listing, seller)
    assert other.get(offer["url"])["ETag"] == f'"{offer["stream_version"]}"'
    assert other.get(f"{W_MATRICES}/{listing}/versions/1.0.0/file").json()["code"] == "ACCESS_REQUIRED"
    assert change(publisher, "post", f"{path}/accept").json()["code"] == "TRANSFER_NOT_OFFERED"
    handed = change(other, "post", f"{path}/accept")
    assert (handed.status_code, handed.json()["seller"]) == (200, bob)
    assert other.get("/api/transfers").json() == {"results": []}
    assert change(publisher, "put", f"{W_MATRICES}/{listing}/price", {"price": 5}).status_code == 404
    assert change(other, "put", f"{W_MATRICES}/{listing}/price", {"price": 5}).status_code == 200


def test_an_offer_of_a_listing_is_declined_or_taken_back(publisher, other_agent, seller, listing):
    bob, other = other_agent("bob")
    path = f"{W_MATRICES}/{listing}/transfer"
    for end, client in (("post", other), ("delete", publisher)):
        assert change(publisher, "post", path, {"agent": bob}).status_code == 200
        ended = change(client, end, f"{path}/decline" if end == "post" else path)
        assert ended.status_code == (204 if end == "post" else 200), ended.content
        assert change(other, "post", f"{path}/accept").json()["code"] == "TRANSFER_NOT_OFFERED"
    ends = [f"listing.transfer_{each}" for each in ("offered", "declined", "offered", "withdrawn")]
    for who, known in ((seller, ends), (bob, ends), ("somebody", [])):
        page = read_changes(after=0, types=sorted(set(ends)), viewer=frozenset({who}))
        assert [each.type for each in page.changes] == known


def test_collaborators_come_and_go(publisher, other_agent, seller, listing):
    bob, other = other_agent("bob")
    path = f"{W_MATRICES}/{listing}/collaborators"
    assert change(publisher, "put", f"{path}/{bob}", {"role": "maintainer"}).status_code == 200
    shown = {each["agent"]: each["role"] for each in publisher.get(path).json()["results"]}
    assert shown == {seller: "owner", bob: "maintainer"}
    assert change(other, "put", f"{W_MATRICES}/{listing}/price", {"price": 5}).status_code == 200
    assert change(publisher, "put", f"{path}/nobody", {"role": "maintainer"}).status_code == 404
    assert change(other, "delete", f"{path}/{bob}").status_code == 200
    assert other.get(path).status_code == 403


def test_access_is_asked_for_and_granted(publisher, buyer, listing):
    agent, client = buyer
    path = f"{W_MATRICES}/{listing}/access-requests"
    assert client.post(path, {}, "application/json").status_code == 409  # it is public
    commands.change_access(listing, access=Access.GATED, by=sample.CURATOR)
    file = f"{W_MATRICES}/{listing}/versions/1.0.0/file"
    assert client.get(file).json()["code"] == "ACCESS_REQUIRED"
    asked = client.post(path, {"message": "For a trial."}, "application/json")
    assert (asked.status_code, asked.json()["state"]) == (201, "asked")
    assert client.get(path).status_code == 403
    (shown,) = publisher.get(path).json()["results"]
    assert (shown["agent"], shown["message"]) == (agent, "For a trial.")
    assert change(publisher, "put", f"{path}/{agent}", {"decision": "refused"}).json()["field"] == "reason"
    assert change(publisher, "put", f"{path}/{agent}", {"decision": "granted"}).status_code == 200
    assert client.get(file).status_code == 200
    refusal = {"decision": "refused", "reason": "The trial is over."}
    assert change(publisher, "put", f"{path}/{agent}", refusal).status_code == 200
    assert ListingMember.objects.get(agent=agent).message == "The trial is over."


def test_a_private_listing_is_granted_without_being_asked_for(publisher, buyer, listing, seller):
    agent, client = buyer
    commands.change_access(listing, access=Access.PRIVATE, by=By(seller, sample.METADATA))
    path = f"{W_MATRICES}/{listing}/access-requests"
    assert client.post(path, {}, "application/json").status_code == 404
    assert change(publisher, "put", f"{path}/{agent}", {"decision": "granted"}).status_code == 200
    assert client.get(f"{W_MATRICES}/{listing}").status_code == 200


def test_every_status_of_the_sellers_routes_is_documented(client, db):
    paths = client.get("/api/schema").json()["paths"]
    for path, operations in paths.items():
        if path == f"{W_MATRICES}/{{listing_id}}/price":
            answers = set(operations["put"]["responses"])
            assert {"200", "401", "403", "404", "412", "422", "428", "429"} <= answers
            assert {each["name"] for each in operations["put"]["parameters"]} >= {"If-Match", "listing_id"}
    assert "post" in paths[W_MATRICES]
    assert {"201", "409", "413", "507"} <= set(paths[W_MATRICES]["post"]["responses"])
