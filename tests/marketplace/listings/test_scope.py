"""Certificates with a scope: on record, in the answers, and in the admin."""

import json
from dataclasses import fields, replace

import pytest
from django.utils import timezone

from latentmas.events.models import Event
from latentmas.events.records import MAX_BODY_BYTES
from latentmas.events.types import decode, encode
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import SAMPLED, Cell, Interval
from marketplace.listings.certificates.compact import compact
from marketplace.listings.commands import certify_version, measure_version
from marketplace.listings.events.certification import VersionCertified, VersionRefused
from marketplace.listings.models import Listing, ListingVersion
from marketplace.listings.validation import check_quality
from tests.marketplace import sample
from tests.marketplace.sample import cell, suite, with_suite

pytestmark = pytest.mark.django_db
LIST = "/api/w-matrices"
SENTENCE = (
    "Certified for contexts of up to 1024 tokens in any register of suite/1 but, for lack of texts, news at 1024 "
    "tokens, the target's tokens known; worst: code at 1024 tokens, at least 0.690."
)


@pytest.fixture
def scoped(registry) -> str:
    """A listing certified for up to 1 024 tokens, today."""
    return sample.make_listing(quality=with_suite(), at=timezone.now())


def test_the_scope_is_on_record(scoped):
    event = Event.objects.get(type="listing.version_certified")
    assert (event.schema, event.payload["scope"]["suite"]) == (2, "suite/1")
    for row in (Listing.objects.get(), ListingVersion.objects.get()):
        assert row.scope["lengths"][-1] == {"length": 1024, "tier": "bronze", "low": 0.69, "register": "code"}
        assert row.scope["failures"][0].startswith("code at 2048 tokens")


def test_a_refusal_names_register_and_length(registry):
    identifier = sample.make_listing(quality=with_suite(suite(cell("code", 256, 0.4))), certify=False)
    decision = certify_version(identifier, version="1.0.0", at=sample.AT, metadata=sample.METADATA)
    assert isinstance(decision, VersionRefused)
    assert decision.reasons[0].startswith("code at 256 tokens: retention may be as low as 0.380")
    assert ListingVersion.objects.get().scope is None


def test_a_certificate_from_before_scopes_has_none():
    old = encode(VersionCertified("1.0.0", "gold", "good", 0.03, sample.AT, sample.AT.replace(year=2027)))
    del old["scope"]
    assert decode("listing.version_certified", 1, old).scope is None


def test_a_full_suite_of_any_precision_fits_into_an_event(registry):
    """8 registers and sampled text at 3 lengths, every figure measured to the last digit."""
    long = {
        name: Interval(0.8123456789012345, 0.7123456789012345, 0.9123456789012345)
        for name in (field.name for field in fields(Cell))
        if name not in ("register", "length", "documents", "scored_tokens")
    }
    registers = [*(f"technical register {number}" for number in range(8)), SAMPLED]
    cells = [cell(register, length, 0.8, **long) for register in registers for length in (256, 1024, 2048)]
    identifier, figures = sample.make_listing(certify=False), with_suite(suite(*cells))
    measured = replace(sample.measured(sample.published(), figures), private=sample.private())
    measure_version(identifier, measured=measured)
    event = Event.objects.filter(type="listing.version_measured").latest("position")
    assert len(bytes(event.body)) < 0.95 * MAX_BODY_BYTES
    assert event.payload["quality"]["suite"]["cells"][0]["aligned"]["value"] == "0.8123"


def test_rounded_once_figures_stay_as_they_are():
    quality = with_suite(suite(cell("news", 256, 0.123456)))
    assert compact(compact(quality)) == compact(quality) != quality
    assert compact(sample.functional()) == sample.functional()


def test_the_same_measurement_again_records_nothing(registry):
    identifier, quality = sample.make_listing(), with_suite(suite(cell("news", 256, 0.80001)))
    measured = sample.measured(sample.published(), quality)
    assert measure_version(identifier, measured=measured)
    assert not measure_version(identifier, measured=measured)


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        (with_suite(suite(cell("news", 256, 0.8), cell("news", 256, 0.9))), "two cells of news at 256 tokens"),
        (with_suite(suite(cell("news", 256, 0.8, left_out=Interval(0.8, 0.9, 0.7)))), "left_out of news at 256"),
        (with_suite(suite(cell("news", 256, float("nan")))), "aligned of news"),
        (with_suite(suite(cell("news", 0, 0.8))), "not a cell"),
        (replace(sample.unmeasured(), suite=sample.SUITE), "need a retention"),
        (with_suite(replace(sample.SUITE, digest="sha256:1")), "not a digest of the suite"),
    ],
)
def test_a_malformed_suite_is_refused(quality, message):
    with pytest.raises(InvalidInput, match=message) as refused:
        check_quality(quality)
    assert refused.value.facts["field"].startswith("quality.suite")


def test_every_answer_with_a_certificate_states_its_scope(client, scoped):
    certificate = client.get(f"{LIST}/{scoped}/versions/1.0.0/certificate").json()
    pair = {"source_model": sample.SOURCE, "target_model": sample.TARGET}
    answers = [
        certificate,
        client.get(LIST).json()["results"][0],
        client.get(f"{LIST}/{scoped}").json(),
        client.get(f"{LIST}/{scoped}/versions/1.0.0").json(),
        client.get(f"{LIST}/best", pair).json(),
    ]
    scopes = [answer["certification"]["scope"] for answer in answers]
    assert all(scope == scopes[0] for scope in scopes)
    assert (scopes[0]["suite"], scopes[0]["mode"], scopes[0]["longest"]) == ("suite/1", "tokens-known", 1024)
    assert [each["length"] for each in scopes[0]["lengths"]] == [256, 1024]
    assert scopes[0]["sentence"] == SENTENCE
    assert certificate["epsilon"] == pytest.approx(0.31)


def test_the_certificate_says_which_of_the_specifications_targets_are_met(client, scoped):
    targets = client.get(f"{LIST}/{scoped}/versions/1.0.0/certificate").json()["targets"]
    assert {each["name"]: each["met"] for each in targets} == {
        "cosine similarity": True,
        "euclidean distance": False,
        "information retention": False,
        "confidence": False,
    }
    assert targets[2] == {"name": "information retention", "target": "> 0.92", "measured": 0.75, "met": False}


def test_figures_of_no_suite_are_certified_without_a_scope(client, certified):
    document = client.get(f"{LIST}/{certified}/versions/1.0.0/certificate").json()
    assert document["certification"]["scope"] is None
    assert document["epsilon"] == pytest.approx(0.03)


def test_the_record_says_how_long_contexts_may_be(client, scoped):
    assert "certified bronze for contexts of up to 1024 tokens" in client.get(f"/w-matrices/{scoped}").content.decode()


def test_the_admin_shows_how_long_contexts_may_be(admin_client, scoped):
    for table in ("listing", "listingversion"):
        assert "1024 tokens" in admin_client.get(f"/admin/listings/{table}/").content.decode()


def test_the_version_keeps_every_cell(client, scoped):
    stored = client.get(f"{LIST}/{scoped}/versions/1.0.0").json()["quality"]["suite"]
    assert json.dumps(stored).count('"register"') == len(sample.SUITE.cells)
