"""Who may read what of a listing, as one table."""

import pytest
from django.utils import timezone

from latentmas.events.changes import change_types, read_changes
from latentmas.protocol.errors import LatentMASError
from marketplace.listings.choosing.choice import best, named_for_cache
from marketplace.listings.commands import publish_version
from marketplace.listings.events.lifecycle import Access, Role
from marketplace.listings.lifecycle import commands
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.models import Listing, ListingVersion, ObtainedVersion, Scan
from marketplace.listings.visibility import Viewer
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
BROWSE = "/api/w-matrices"


@pytest.fixture
def viewers(client, publisher, seller, other_agent, curator):
    """Clients by what they are to the listing; `agents` has their ids."""
    agents, clients = {"owner": seller}, {"owner": publisher, "nobody": client, "curator": curator}
    for name in ("stranger", "granted", "worker", "holder"):
        agents[name], clients[name] = other_agent(name)
    return {"agents": agents, "clients": clients}


@pytest.fixture
def listing(registry, viewers):
    """A certified listing with a collaborator, somebody who was granted access, and a holder of 1.0.0."""
    agents, by = viewers["agents"], By(viewers["agents"]["owner"], sample.METADATA)
    identifier = sample.make_listing(at=timezone.now(), seller=agents["owner"])
    commands.add_collaborator(identifier, who=agents["worker"], role=Role.PUBLISHER, by=by)
    commands.grant_access(identifier, who=agents["granted"], by=by)
    assert viewers["clients"]["holder"].get(f"{BROWSE}/{identifier}/versions/1.0.0/file").status_code == 200
    return identifier


def private(listing, by):
    commands.change_access(listing, access=Access.PRIVATE, by=by)


def gated(listing, by):
    commands.change_access(listing, access=Access.GATED, by=by)


def yanked(listing, by):
    commands.yank_version(listing, version="1.0.0", reason="Worse.", by=by)


def delisted(listing, by):
    commands.delist(listing, reason="Enough.", by=by)


def quarantined(listing, by):
    commands.quarantine_listing(listing, reason="Under review.", by=sample.CURATOR)


def public(listing, by):
    pass


EVERYBODY = ("nobody", "stranger", "holder", "granted", "worker", "owner", "curator")
# state -> (sees it in the catalogue, answer of its card, answer of its file), each by viewer.
SAME = dict.fromkeys
TABLE = {
    public: (SAME(EVERYBODY, True), SAME(EVERYBODY, 200), SAME(EVERYBODY, 200)),
    gated: (
        SAME(EVERYBODY, True),
        SAME(EVERYBODY, 200),
        SAME(("nobody", "stranger", "curator"), 403) | SAME(("holder", "granted", "worker", "owner"), 200),
    ),
    private: (
        SAME(("nobody", "stranger", "holder"), False) | SAME(("granted", "worker", "owner", "curator"), True),
        SAME(("nobody", "stranger", "holder"), 404) | SAME(("granted", "worker", "owner", "curator"), 200),
        SAME(("nobody", "stranger", "holder"), 404) | SAME(("granted", "worker", "owner"), 200) | {"curator": 403},
    ),
    yanked: (SAME(EVERYBODY, False), SAME(EVERYBODY, 200), SAME(EVERYBODY, 410) | {"holder": 200}),
    delisted: (SAME(EVERYBODY, False), SAME(EVERYBODY, 200), SAME(EVERYBODY, 410) | {"holder": 200}),
    quarantined: (
        SAME(EVERYBODY, False),
        SAME(EVERYBODY, 403) | SAME(("worker", "owner", "curator"), 200),
        SAME(EVERYBODY, 403),
    ),
}


@pytest.mark.parametrize("state", TABLE, ids=lambda state: state.__name__)
def test_who_may_read_what(listing, viewers, state):
    state(listing, By(viewers["agents"]["owner"], sample.METADATA))
    found = {"catalogue": {}, "card": {}, "file": {}}
    for viewer in EVERYBODY:
        client = viewers["clients"][viewer]
        found["catalogue"][viewer] = [row["id"] for row in client.get(BROWSE).json()["results"]] == [listing]
        found["card"][viewer] = client.get(f"{BROWSE}/{listing}").status_code
        found["file"][viewer] = client.get(f"{BROWSE}/{listing}/versions/1.0.0/file").status_code
    catalogue, card, file = TABLE[state]
    assert found == {"catalogue": catalogue, "card": card, "file": file}


@pytest.mark.parametrize("state", [private, yanked, delisted, quarantined], ids=lambda state: state.__name__)
def test_what_is_not_on_offer_is_neither_counted_nor_chosen(listing, viewers, client, state):
    row = Listing.objects.get()
    pair = {"source_model": row.source_model, "target_model": row.target_model}
    assert best(**pair, at=timezone.now()).listing_id == listing
    digest = ListingVersion.objects.get().file_digest
    state(listing, By(viewers["agents"]["owner"], sample.METADATA))
    totals = client.get(f"{BROWSE}/statistics").json()
    assert (totals["listings"], totals["versions"]) == (0, 0)
    assert client.get(f"{BROWSE}/compatible", {"source_model": row.source_model}).json()["targets"] == []
    assert client.get(f"{BROWSE}/best", pair).status_code == 404
    with pytest.raises(LatentMASError):
        named_for_cache(listing, "1.0.0", **pair)
    verified = client.post(f"{BROWSE}/verify", {"checksum": digest}, "application/json").json()
    assert not verified["valid"]
    assert (verified["matches"] == []) == (state in (private, quarantined))
    page = client.get("/")
    assert page.context["totals"].listings == 0
    assert client.get(f"/w-matrices/{listing}").status_code == (404 if state in (private, quarantined) else 200)


@pytest.mark.parametrize("state", [gated, private], ids=lambda state: state.__name__)
def test_best_and_compatible_are_for_those_who_get_the_files(listing, viewers, state):
    row = Listing.objects.get()
    pair = {"source_model": row.source_model, "target_model": row.target_model}
    state(listing, By(viewers["agents"]["owner"], sample.METADATA))
    for viewer in EVERYBODY:
        client, mine = viewers["clients"][viewer], viewer in ("granted", "worker", "owner")
        assert client.get(f"{BROWSE}/best", pair).status_code == (200 if mine else 404)
        reached = client.get(f"{BROWSE}/compatible", {"source_model": row.source_model}).json()["targets"]
        assert bool(reached) == mine
        assert listing not in client.get("/api/feed").content.decode()
        seen = client.get(f"{BROWSE}/{listing}/versions/1.0.0/manifest").status_code
        assert (seen == 200) == (state is gated or mine or viewer == "curator")
    granted = Viewer(frozenset({viewers["agents"]["granted"]}))
    assert named_for_cache(listing, "1.0.0", **pair, viewer=granted).listing_id == listing


def test_a_gated_w_matrix_is_not_applied_for_strangers(listing, viewers):
    row = Listing.objects.get()
    gated(listing, By(viewers["agents"]["owner"], sample.METADATA))
    pair = {"source_model": row.source_model, "target_model": row.target_model}
    with pytest.raises(LatentMASError) as refusal:
        named_for_cache(listing, "1.0.0", **pair)
    assert refusal.value.code == "ACCESS_REQUIRED"
    with pytest.raises(LatentMASError):
        best(**pair, at=timezone.now())


def test_files_that_are_not_public_are_kept_by_no_cache(listing, viewers):
    file = f"{BROWSE}/{listing}/versions/1.0.0/file"
    assert "no-store" not in viewers["clients"]["granted"].get(file).get("Cache-Control", "")
    gated(listing, By(viewers["agents"]["owner"], sample.METADATA))
    assert viewers["clients"]["granted"].get(file)["Cache-Control"] == "private, no-store"


def test_a_look_at_the_headers_obtains_nothing(listing, viewers):
    before = ObtainedVersion.objects.count()
    viewers["clients"]["stranger"].head(f"{BROWSE}/{listing}/versions/1.0.0/file")
    viewers["clients"]["nobody"].get(f"{BROWSE}/{listing}/versions/1.0.0/file")
    assert ObtainedVersion.objects.count() == before
    for _ in range(2):
        viewers["clients"]["stranger"].get(f"{BROWSE}/{listing}/versions/1.0.0/file")
    assert ObtainedVersion.objects.count() == before + 1


@pytest.mark.parametrize("scan", [Scan.SCANNING, Scan.REFUSED])
def test_a_version_without_a_passed_scan_is_its_sellers_alone(listing, viewers, scan):
    publish_version(listing, published=sample.published("1.1.0"), metadata=sample.METADATA)
    ListingVersion.objects.filter(version="1.1.0").update(scan=scan, offered=False)
    for viewer, sees in {"stranger": False, "granted": False, "worker": True, "owner": True, "curator": True}.items():
        client = viewers["clients"][viewer]
        assert (len(client.get(f"{BROWSE}/{listing}").json()["versions"]) == 2) == sees
        answer = client.get(f"{BROWSE}/{listing}/versions/1.1.0")
        assert answer.status_code == (200 if sees else 404)
        for part in ("file", "manifest", "certificate"):
            refused = client.get(f"{BROWSE}/{listing}/versions/1.1.0/{part}")
            assert (refused.status_code, refused.json()["code"]) == (404, "VERSION_NOT_OFFERED")


def test_an_alias_leads_to_its_version(listing, viewers):
    commands.move_alias(listing, name="stable", version="1.0.0", by=By(viewers["agents"]["owner"], sample.METADATA))
    client = viewers["clients"]["nobody"]
    assert client.get(f"{BROWSE}/{listing}/versions/stable").json()["version"] == "1.0.0"
    assert client.get(f"{BROWSE}/{listing}/versions/stable/file").status_code == 200
    assert client.get(f"{BROWSE}/{listing}/versions/latest").status_code == 404


def test_a_private_listing_is_in_nobodys_feed_but_its_members(listing, viewers, client):
    agents = viewers["agents"]
    private(listing, By(agents["owner"], sample.METADATA))
    subject = f"listing/{listing}"

    def known(*viewer):
        page = read_changes(after=0, types=list(change_types()), viewer=frozenset(viewer), limit=200)
        return {change.type for change in page.changes if change.subject == subject}

    assert known() == known(agents["stranger"]) == set()
    assert "listing.version_published" in known(agents["granted"])
    assert "listing.access_granted" not in known(agents["granted"])
    assert {"listing.access_granted", "listing.collaborator_added"} <= known(agents["worker"])
    assert known(agents["owner"]) == known(agents["worker"])
    assert subject not in client.get("/api/changes").content.decode()


@pytest.mark.parametrize(
    ("state", "words"),
    [(delisted, "<b>Delisted</b> on"), (yanked, "Nothing on offer."), (quarantined, "<b>In quarantine</b> since")],
    ids=["delisted", "yanked", "quarantined"],
)
def test_the_page_says_why_nothing_is_on_offer(listing, viewers, client, alice, state, words):
    state(listing, By(viewers["agents"]["owner"], sample.METADATA))
    client.force_login(alice)
    assert words in client.get(f"/w-matrices/{listing}").content.decode()
