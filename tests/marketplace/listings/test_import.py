"""Importing W-Matrices of other registries: one by its card, and all of a signed feed."""

import base64
import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from latentmas.events.models import Event
from latentmas.jobs.models import Job
from latentmas.jobs.working import claim, run
from latentmas.protocol.canonical import plain
from latentmas.protocol.card import Feed
from latentmas.protocol.money import Money
from latentmas.protocol.w_matrix import Space
from latentmas.transparency.models import SigningKey
from marketplace.listings.certificates.signing import sign_certificates
from marketplace.listings.choosing.choice import best
from marketplace.listings.commands import certify_version, create_listing
from marketplace.listings.lifecycle.commands import By, change_price, erase_texts
from marketplace.listings.models import Listing, ListingVersion
from marketplace.listings.publishing.publication import SCAN
from marketplace.listings.rest.feed_api import signed
from marketplace.texts.erasable import ERASED
from tests.marketplace import sample
from tests.marketplace.exchange.sample import UNIFIED, w_matrix
from tests.marketplace.sample import METADATA, SOURCE, TARGET

pytestmark = pytest.mark.django_db
IMPORT = "/api/w-matrices/import"
WEIGHTS = {"source_weights": "sha256:" + "a" * 64, "target_weights": "sha256:" + "b" * 64}
PAGE = "/api/feed?envelope=true&limit=1"
FEED = f"https://publisher.example{PAGE}"
OTHER_KEY = base64.b64encode(bytes(range(32))).decode()


@dataclass
class There:
    """What another registry serves: a listing's cards by version, its files by digest, the pages of its feed, its key.

    This server plays it; importing into the same database changes nothing of that.
    """

    cards: dict[str, Any]
    files: dict[str, bytes]
    key: str
    pages: dict[str, bytes]


@pytest.fixture
def there(registry: None, client: Client, settings: Any) -> There:
    settings.TAKEDOWN_CONTACT = "mailto:rights@elsewhere.example"
    created = sample.listing_created(statement=sample.FreeText("I made it."))
    create_listing(created, metadata=METADATA)
    files: dict[str, bytes] = {}
    for version in ("1.0.0", "1.1.0"):
        file = io.BytesIO()
        w_matrix(version=version, **WEIGHTS).write(file)
        content = file.getvalue()
        files[f"sha256:{hashlib.sha256(content).hexdigest()}"] = content
        quality = sample.with_suite()
        sample.publish(created.listing_id, version, quality=quality, content=content, unified_dimension=UNIFIED)
        certify_version(created.listing_id, version=version, at=timezone.now(), metadata=METADATA)
    sign_certificates(metadata=METADATA)
    address = f"/api/w-matrices/{created.listing_id}/versions"
    cards = {version: client.get(f"{address}/{version}/manifest").json() for version in ("1.0.0", "1.1.0")}
    key = SigningKey.objects.get(purpose="certificate").public_key
    return There(cards, files, key, pages_of(client))


def pages_of(client: Client) -> dict[str, bytes]:
    """Return the pages of the feed, of one card each, by their addresses."""
    pages, address = {}, PAGE
    while address:
        pages[address] = client.get(address).content
        address = json.loads(base64.b64decode(json.loads(pages[address])["payload"]))["next"]
    return pages


def upload(client: Client, content: bytes) -> str:
    announced = {"size": len(content), "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    begun = client.post("/api/uploads", announced, "application/json").json()
    client.patch(begun["url"], content, "application/octet-stream", headers={"Upload-Offset": "0"})
    return str(begun["id"])


def send(client: Client, card: Any, content: bytes, **body: Any) -> Any:
    body = {"card": card, "upload": upload(client, content)} | body
    return client.post(IMPORT, json.dumps(body), "application/json")


def first(there: There) -> tuple[Any, bytes]:
    card = there.cards["1.0.0"]
    return card, there.files[card["file"]["digest"]]


def changed(card: Any, path: str, value: object) -> Any:
    """Return a copy of the card that says otherwise at a path of names."""
    copy = json.loads(json.dumps(card))
    *way, last = path.split(".")
    inner = copy
    for name in way:
        inner = inner[name]
    inner[last] = value
    return copy


def test_a_card_and_its_file_become_a_listing_whose_figures_are_declared(publisher, seller, there):
    card, content = first(there)
    made = send(publisher, card, content, public_key=there.key, price=500)
    assert made.status_code == 201, made.json()
    shown = made.json()
    assert (shown["seller"], shown["title"], shown["price"]["amount"]) == (seller, f"{SOURCE} to {TARGET}", 500)
    assert (shown["seller_statement"], shown["id"]) == ("I made it.", made["Location"].rpartition("/")[2])
    (version,) = shown["versions"]
    assert (version["basis"], version["certification"], version["quality"]["retention"]) == ("declared", None, None)
    assert version["epsilon"] == card["quality"]["epsilon"]
    imported = version["imported"]
    assert (imported["registry"], imported["listing_id"]) == (None, card["listing_id"])
    assert imported["takedown_contact"] == "mailto:rights@elsewhere.example"
    certificate = imported["certificate"]
    assert (certificate["tier"], certificate["checked"]) == (card["certification"]["tier"], True)
    assert certificate["envelope"] == card["signed"]["envelope"]


def test_a_foreign_certificate_is_a_reference_that_counts_for_nothing(publisher, there, client):
    card, content = first(there)
    identifier = send(publisher, card, content).json()["id"]
    run(claim(Job.objects.get(kind=SCAN).id))
    version = ListingVersion.objects.get(listing_id=identifier)
    assert (version.tier, version.imported["certificate"]["checked"]) == (None, False)
    chosen = best(source_model=SOURCE, target_model=TARGET, at=timezone.now(), space=Space.KV_CACHE)
    assert chosen.listing_id == card["listing_id"]
    assert identifier not in client.get("/api/feed").content.decode()
    page = client.get(reverse("listing", args=[identifier])).content.decode()
    assert "the signature was not checked here. That counts for nothing here." in page
    own = client.get(f"/api/w-matrices/{identifier}/versions/1.0.0/manifest").json()
    assert (own["certification"], own["imported"]["listing_id"]) == (None, card["listing_id"])


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("quality.retention.aligned.value", 0.999, "CARD_ALTERED"),
        ("certification.tier", "platinum", "CARD_ALTERED"),
        ("listing_id", "00000000-0000-4000-8000-000000000009", "CARD_ALTERED"),
        ("source.weights", "sha256:" + "c" * 64, "CARD_ALTERED"),
        ("unified_dimension", 5, "CARD_ALTERED"),
        ("target.geometry.heads", 9, "CARD_ALTERED"),
        ("file.digest", "sha256:" + "c" * 64, "CARD_ALTERED"),
        ("file.digest", "../../etc/passwd", "INVALID_INPUT"),
        ("quality", {"basis": "functional"}, "INVALID_INPUT"),
        ("kind", "latentmas/card/9", "INVALID_INPUT"),
        ("signed.envelope.payload", "e30=", "VERIFICATION_FAILED"),
    ],
)
def test_a_card_that_contradicts_its_certificate_or_its_file_is_refused(publisher, there, path, value, code):
    card, content = first(there)
    before = Event.objects.count(), Listing.objects.count()
    answer = send(publisher, changed(card, path, value), content)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.json()
    assert (Event.objects.count(), Listing.objects.count()) == before


def test_without_its_certificate_a_card_is_only_held_against_the_file(publisher, there):
    card, content = first(there)
    unsigned = card | {"signed": None}
    answer = send(publisher, changed(unsigned, "source.weights", "sha256:" + "c" * 64), content)
    assert (answer.json()["code"], answer.json()["field"]) == ("CARD_ALTERED", "card.source.weights")
    another = there.files[there.cards["1.1.0"]["file"]["digest"]]
    assert send(publisher, unsigned, another).json()["code"] == "DIGEST_MISMATCH"
    unknown = changed(unsigned, "source.model", "gpt-5000")
    assert send(publisher, unknown, content).json()["code"] == "MODEL_NOT_SUPPORTED"
    made = send(publisher, unsigned, content)
    assert (made.status_code, made.json()["versions"][0]["imported"]["certificate"]) == (201, None)


def test_the_certificate_must_be_signed_by_the_key_that_is_given(publisher, there):
    card, content = first(there)
    answer = send(publisher, card, content, public_key=OTHER_KEY)
    assert (answer.json()["code"], answer.json()["facts"]["reason"]) == ("VERIFICATION_FAILED", "key_unknown")
    forged = changed(
        card, "signed.envelope.signatures", [card["signed"]["envelope"]["signatures"][0] | {"sig": "AAAA"}]
    )
    answer = send(publisher, forged, content, public_key=there.key)
    assert (answer.json()["code"], answer.json()["facts"]["reason"]) == ("VERIFICATION_FAILED", "signature_invalid")
    assert send(publisher, card, content, public_key="no key").json()["field"] == "public_key"


def test_a_later_card_of_the_same_listing_makes_another_version(publisher, there):
    card, content = first(there)
    made = send(publisher, card, content).json()
    again = send(publisher, card, content).json()
    later = there.cards["1.1.0"]
    grown = send(publisher, later, there.files[later["file"]["digest"]]).json()
    assert made["id"] == again["id"] == grown["id"]
    assert [each["version"] for each in grown["versions"]] == ["1.1.0", "1.0.0"]


def test_the_contact_of_another_registry_can_be_erased(publisher, there):
    card, content = first(there)
    identifier = send(publisher, card, content).json()["id"]
    erase_texts(identifier, metadata=METADATA)
    assert ListingVersion.objects.get(listing_id=identifier).takedown_contact == ERASED


def mirror(there: There, seller: str, *, feed: str = FEED, key: str | None = None, **options: Any) -> None:
    call_command("import_feed", feed, key=[key or there.key], agent=seller, **options)


def serve(remote: Any, there: There, pages: dict[str, bytes] | None = None) -> None:
    """Let the remote answer with the pages of the feed, and with the files of its cards."""
    answers = {card["file_url"]: there.files[card["file"]["digest"]] for card in there.cards.values()}
    answers |= there.pages if pages is None else pages

    def respond(handler: Any) -> None:
        body = answers[handler.path]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    remote.respond = respond


def test_a_feed_is_mirrored_as_private_listings_and_a_second_time_fetches_no_file(remote, seller, client, there):
    serve(remote, there)
    mirror(there, seller)
    (listing,) = Listing.objects.filter(seller=seller)
    rows = ListingVersion.objects.filter(listing_id=listing.id)
    assert {(row.version, row.basis, row.tier) for row in rows} == {(v, "declared", None) for v in ("1.0.0", "1.1.0")}
    assert {(row.imported["registry"], row.imported["certificate"]["checked"]) for row in rows} == {
        ("publisher.example", True)
    }
    assert (listing.access, client.get(f"/api/w-matrices/{listing.id}").status_code) == ("private", 404)
    asked = len(remote.asked)
    mirror(there, seller)
    assert (len(remote.asked) - asked, ListingVersion.objects.filter(listing_id=listing.id).count()) == (2, 2)


def test_a_page_that_was_altered_or_signed_by_another_key_brings_nothing(remote, seller, there):
    envelope = json.loads(there.pages[PAGE])
    payload = base64.b64decode(envelope["payload"]).replace(b'"version":"1.0.0"', b'"version":"1.0.1"')
    altered = json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}).encode()
    serve(remote, there, {PAGE: altered})
    with pytest.raises(CommandError, match="VERIFICATION_FAILED"):
        mirror(there, seller)
    serve(remote, there)
    with pytest.raises(CommandError, match="no signature is by a known key"):
        mirror(there, seller, key=OTHER_KEY)
    assert not Listing.objects.filter(seller=seller).exists()


def test_a_feed_does_not_lead_to_another_host(remote, seller, there):
    elsewhere = signed(Feed((), "https://hooks.example/api/feed?envelope=true"))
    serve(remote, there, {PAGE: json.dumps(plain(elsewhere)).encode()})
    with pytest.raises(CommandError, match="leads to another host"):
        mirror(there, seller)
    assert remote.resolved == ["publisher.example"]


def test_a_file_that_is_another_is_not_kept_and_the_other_cards_are(remote, seller, there, capsys):
    there.files[there.cards["1.0.0"]["file"]["digest"]] += b"x"
    serve(remote, there)
    with pytest.raises(CommandError, match="1 cards could not be imported"):
        mirror(there, seller)
    assert "REMOTE_FAILED: the answer has more than" in capsys.readouterr().err
    assert [row.version for row in ListingVersion.objects.filter(publisher=seller)] == ["1.1.0"]


def test_a_feed_in_a_file_takes_its_files_from_a_folder(seller, there, client, tmp_path):
    page = tmp_path / "feed.json"
    page.write_bytes(client.get("/api/feed?envelope=true").content)
    with pytest.raises(CommandError, match="--files"):
        mirror(there, seller, feed=str(page))
    for digest, content in there.files.items():
        (tmp_path / f"{digest.removeprefix('sha256:')}.safetensors").write_bytes(content)
    mirror(there, seller, feed=str(page), files=tmp_path, limit=1)
    assert ListingVersion.objects.filter(publisher=seller).count() == 1
    mirror(there, seller, feed=str(page), files=tmp_path)
    assert ListingVersion.objects.filter(publisher=seller).count() == 2


def test_a_file_that_is_sold_there_is_not_fetched(remote, seller, there, client, capsys):
    card = there.cards["1.0.0"]
    listing = Listing.objects.get(id=card["listing_id"])
    change_price(listing.id, price=Money(1999, "USD"), by=By(None, METADATA))
    serve(remote, there, pages_of(client))
    with pytest.raises(CommandError, match="2 cards"):
        mirror(there, seller)
    assert "costs 1999 minor units of USD" in capsys.readouterr().err
    assert {asked.path for asked in remote.asked} == set(there.pages)
