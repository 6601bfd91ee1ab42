"""Cards for machines, the feed of all certified mappers, and the schema of both."""

import base64
import json

import jsonschema
import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.utils import timezone

from latentmas.protocol.card import ROW_ORDER, Card, Feed
from latentmas.protocol.dsse import pre_authentication_encoding
from latentmas.protocol.quality import declared
from latentmas.registry.data_file import read_entries
from latentmas.registry.licences import DERIVED_WORKS, derived_works
from latentmas.transparency.models import SigningKey
from marketplace.listings.certificates.signing import sign_certificates
from marketplace.listings.commands import revoke_certificate
from marketplace.listings.lifecycle.commands import yank_version
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
LIST = "/api/w-matrices"


def many(count: int) -> list[str]:
    """Certified listings of one pair, under as many sellers."""
    return [
        sample.make_listing(
            quality=sample.with_suite(),
            at=timezone.now(),
            listing_id=f"00000000-0000-4000-8000-{number:012d}",
            seller=f"agent:{number}",
        )
        for number in range(count)
    ]


@pytest.fixture
def schema(client) -> dict:
    return client.get("/api/feed/schema").json()


def test_a_card_says_what_a_router_needs(client, registry, settings):
    settings.TAKEDOWN_CONTACT = "mailto:rights@example.org"
    identifier = sample.make_listing(quality=sample.with_suite(), at=timezone.now())
    document = client.get(f"{LIST}/{identifier}/versions/1.0.0/manifest").json()
    card = msgspec.convert(document, Card)
    assert card.source.geometry is not None
    assert (card.source.geometry.layers, card.source.geometry.heads, card.source.geometry.head_dim) == (30, 3, 64)
    assert set(card.target.geometry.windows) == {512, None}
    assert (card.row_order, card.context_lengths) == (ROW_ORDER, (256, 1024, 2048))
    assert card.registers[:2] == ("news", "code")
    assert card.certification is not None
    assert card.certification.scope.longest == 1024
    assert card.measurement.instrument == sample.INSTRUMENT
    assert card.source.weights == "sha256:" + "a" * 64
    assert card.declared == declared(sample.with_suite())
    assert card.rights.takedown_contact == "mailto:rights@example.org"
    assert [each.licence for each in card.rights.models] == ["Apache-2.0", "Gemma Terms of Use"]
    assert [each.derived_maps for each in card.rights.models] == list(
        map(derived_works, ("Apache-2.0", "Gemma Terms of Use"))
    )


def test_what_a_licence_says_of_derived_works_is_known_of_licences_of_the_registry_or_null():
    named = {each.facts.licence.name for each in read_entries() if each.facts.licence is not None}
    assert set(DERIVED_WORKS) <= named
    assert derived_works("Tongyi Qianwen License Agreement") is derived_works(None) is None


def test_what_is_not_known_is_null(client, simulated):
    card = client.get(f"{LIST}/{simulated}/versions/1.0.0/manifest").json()
    assert (card["source"]["geometry"], card["source"]["tokenizer"], card["certification"]) == (None, None, None)
    assert (card["rights"]["takedown_contact"], card["rights"]["seller_statement"]) == (None, None)


def test_every_card_and_page_follows_the_published_schema(client, registry, simulated, schema):
    many(2)
    jsonschema.Draft202012Validator.check_schema(schema)
    page = client.get("/api/feed").json()
    jsonschema.validate(page, schema)
    card = client.get(f"{LIST}/{simulated}/versions/1.0.0/manifest").json()
    jsonschema.validate({"cards": [card], "next": None, "kind": "latentmas/feed/1"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(page | {"kind": "other"}, schema)


def test_the_feed_holds_all_certified_mappers_and_no_others(client, registry):
    kept, yanked, revoked = many(3)
    sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured())
    sample.make_listing(
        quality=sample.functional(0.3),
        listing_id=sample.listing_id_for_seller("agent:weak"),
        seller="agent:weak",
        at=timezone.now(),
    )
    yank_version(yanked, version="1.0.0", reason="Broken.", by=sample.CURATOR)
    revoke_certificate(revoked, version="1.0.0", reason="A mistake.", metadata=sample.METADATA)
    assert [card["listing_id"] for card in client.get("/api/feed").json()["cards"]] == [kept]


def test_the_feed_is_read_page_by_page_and_not_again_while_it_is_the_same(client, registry, django_assert_num_queries):
    identifiers = many(5)
    found, address = [], "/api/feed?limit=2"
    while address:
        with django_assert_num_queries(4):
            page = msgspec.json.decode(client.get(address).content, type=Feed)
        found += [card.listing_id for card in page.cards]
        address = page.next
    assert found == identifiers
    first = client.get("/api/feed")
    assert client.get("/api/feed", headers={"If-None-Match": first["ETag"]}).status_code == 304
    yank_version(identifiers[0], version="1.0.0", reason="Broken.", by=sample.CURATOR)
    assert client.get("/api/feed", headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_a_page_can_be_had_in_a_signed_envelope(client, registry):
    many(2)
    sign_certificates(metadata=sample.METADATA)
    envelope = client.get("/api/feed?envelope=true").json()
    assert envelope["payloadType"] == "application/vnd.latentmas.feed+json"
    page = msgspec.json.decode(base64.b64decode(envelope["payload"]), type=Feed)
    assert page == msgspec.json.decode(client.get("/api/feed").content, type=Feed)
    key = SigningKey.objects.get(key_id=envelope["signatures"][0]["keyid"])
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public_key))
    signed = pre_authentication_encoding(envelope["payloadType"], base64.b64decode(envelope["payload"]))
    public.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed.replace(b"certified", b"platinum!"))


def test_every_card_carries_its_signed_certificate(client, registry):
    many(2)
    assert [card["signed"] for card in client.get("/api/feed").json()["cards"]] == [None, None]
    sign_certificates(metadata=sample.METADATA)
    for card in client.get("/api/feed").json()["cards"]:
        statement = json.loads(base64.b64decode(card["signed"]["envelope"]["payload"]))
        assert statement["subject"][0]["digest"]["sha256"] == card["file"]["digest"].removeprefix("sha256:")
        assert statement["predicate"]["basis"] == "functional"
        assert statement["predicate"]["instrument"]["code"] == "arms/test"


def test_a_server_without_the_key_says_so(client, settings):
    settings.CERTIFICATE_SIGNING_KEY = None
    assert client.get("/api/feed").status_code == 200
    assert client.get("/api/feed?envelope=true").json()["code"] == "SIGNING_KEY_MISSING"


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "cursor=nonsense", "colour=red"])
def test_a_malformed_page_is_refused(client, query):
    assert client.get(f"/api/feed?{query}").status_code == 422
