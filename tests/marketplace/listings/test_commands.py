from dataclasses import replace
from datetime import timedelta

import pytest

from latentmas.events.errors import VersionConflict
from latentmas.events.models import Event
from latentmas.protocol.errors import Conflict, InvalidInput, ModelNotSupported, NotFound
from latentmas.protocol.money import Money
from latentmas.protocol.quality import Basis
from marketplace.listings.aggregate import listing_id_for
from marketplace.listings.commands import certify_version, create_listing, publish_version
from marketplace.listings.errors import VersionYankedError
from marketplace.listings.events.certification import VersionCertified, VersionRefused
from marketplace.listings.events.listing import ModelLicence, StoredFile
from marketplace.listings.lifecycle.commands import yank_version
from marketplace.listings.models import Listing, ListingVersion
from marketplace.texts.free_text import FreeText
from tests.marketplace import sample

pytestmark = pytest.mark.django_db


def event_types():
    return list(Event.objects.filter(stream__startswith="listing/").values_list("type", flat=True))


def test_a_listing_is_created_published_and_certified(registry):
    identifier = sample.make_listing(quality=sample.functional(0.97))

    published, measured, certified = event_types()[1:]
    assert (published, measured) == ("listing.version_published", "listing.version_measured")
    assert certified == "listing.version_certified"
    row = Listing.objects.get(id=identifier)
    assert (row.version, row.basis, row.tier, row.grade) == ("1.0.0", "functional", "gold", "good")
    assert (row.retention, row.retention_low) == (pytest.approx(0.97), pytest.approx(0.95))
    assert row.certified_until == sample.AT.replace(year=2027)
    assert row.stream_version == 4
    version = ListingVersion.objects.get(listing_id=identifier)
    assert sample.same_quality(version.quality, sample.functional(0.97))


def test_a_listing_takes_the_registry_names_of_its_models(registry):
    created = sample.listing_created("llama3-8b", "gemma-3-270m")
    create_listing(created, metadata=sample.METADATA)
    assert Listing.objects.get().source_model == "llama-3-8b"


def test_it_refuses_a_model_that_is_not_registered(registry):
    with pytest.raises(ModelNotSupported):
        create_listing(sample.listing_created("gpt-5000", "gpt-4"), metadata=sample.METADATA)
    assert event_types() == []


def test_the_same_listing_and_version_again_record_nothing(registry):
    created, version = sample.listing_created(), sample.published()
    for _ in range(2):
        create_listing(created, metadata=sample.METADATA)
        publish_version(created.listing_id, published=version, metadata=sample.METADATA)
    assert event_types() == ["listing.created", "listing.version_published"]


def test_another_listing_under_the_same_id_is_a_conflict(registry):
    create_listing(sample.listing_created(), metadata=sample.METADATA)
    with pytest.raises(Conflict, match="exists already"):
        create_listing(sample.listing_created(price=Money(7, "USD")), metadata=sample.METADATA)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": FreeText(" ")}, "title"),
        ({"title": FreeText("NUL\x00")}, "title"),
        ({"target_model": sample.SOURCE}, "target_model"),
        ({"price": Money(-1, "USD")}, "price"),
        ({"price": Money(1, "dollars")}, "price"),
        ({"tags": ("x" * 41,)}, "tags"),
        ({"listing_id": "not-a-uuid"}, "listing_id"),
        ({"licences": (ModelLicence("gpt-4", "Terms", "javascript:alert(1)"),)}, "licences"),
        ({"description": FreeText("x" * 4001)}, "description"),
        ({"tags": ("<b>bold</b>",)}, "tags"),
        ({"tags": ("&lt;",)}, "tags"),
    ],
)
def test_it_rejects_a_malformed_listing(registry, changes, field):
    with pytest.raises(InvalidInput) as refusal:
        create_listing(sample.listing_created(**changes), metadata=sample.METADATA)
    assert refusal.value.facts["field"] == field
    assert event_types() == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": "1.0"}, "version"),
        ({"method": "magic"}, "method"),
        ({"standard": 5000}, "standard"),
        ({"unified_dimension": 5000}, "unified_dimension"),
        ({"source_dimension": 0}, "source_dimension"),
        ({"source_weights": "md5:1"}, "source_weights"),
        ({"quality": replace(sample.unmeasured(), epsilon=1.5)}, "quality.epsilon"),
        ({"quality": sample.functional()}, "quality.basis"),
        ({"quality": sample.unmeasured(Basis.ACTIVATION)}, "quality.basis"),
        ({"measured_first": True}, "quality.basis"),
        ({"quality": replace(sample.unmeasured(), cosine_similarity=float("nan"))}, "quality"),
    ],
)
def test_it_rejects_a_malformed_version(registry, changes, field):
    create_listing(created := sample.listing_created(), metadata=sample.METADATA)
    with pytest.raises(InvalidInput) as refusal:
        publish_version(created.listing_id, published=replace(sample.published(), **changes), metadata=sample.METADATA)
    assert refusal.value.facts["field"] == field
    assert event_types() == ["listing.created"]


def test_a_version_needs_its_file_in_the_store(registry):
    create_listing(created := sample.listing_created(), metadata=sample.METADATA)
    absent = StoredFile("sha256:" + "0" * 64, 10)
    with pytest.raises(InvalidInput, match="not stored"):
        publish_version(created.listing_id, published=sample.published(file=absent), metadata=sample.METADATA)
    with pytest.raises(InvalidInput, match="not stored"):
        publish_version(created.listing_id, published=sample.published(report=absent), metadata=sample.METADATA)


def test_a_version_needs_the_right_size_of_its_file(registry):
    create_listing(created := sample.listing_created(), metadata=sample.METADATA)
    version = sample.published()
    wrong = replace(version, file=replace(version.file, size=1))
    with pytest.raises(InvalidInput, match="bytes, not 1"):
        publish_version(created.listing_id, published=wrong, metadata=sample.METADATA)


@pytest.mark.parametrize(
    ("version", "why"), [("1.0.0", "exists already"), ("1.2.0", "exists already"), ("1.1.9", "is lower than 1.2.0")]
)
def test_a_version_must_be_above_the_last_of_its_major_version(registry, version, why):
    identifier = sample.make_listing()
    for number in ("2.0.0", "1.2.0"):  # a fix of the older major version may come after the newer one
        publish_version(identifier, published=sample.published(number), metadata=sample.METADATA)
    with pytest.raises(Conflict, match=why) as refusal:
        publish_version(identifier, published=sample.published(version, content=b"other"), metadata=sample.METADATA)
    assert "1.2.1" in refusal.value.advice
    assert Listing.objects.get().version == "2.0.0"


def test_ten_comes_after_nine(registry):
    identifier = sample.make_listing()
    for version in ("1.9.0", "1.10.0"):
        publish_version(identifier, published=sample.published(version), metadata=sample.METADATA)
    assert Listing.objects.get().version == "1.10.0"


def test_a_version_needs_a_listing(registry):
    with pytest.raises(NotFound):
        publish_version(sample.listing_created().listing_id, published=sample.published(), metadata=sample.METADATA)


def test_an_outdated_expectation_is_a_conflict(registry):
    identifier = sample.make_listing()
    with pytest.raises(VersionConflict):
        publish_version(identifier, published=sample.published("1.1.0"), metadata=sample.METADATA, expected=3)
    publish_version(identifier, published=sample.published("1.1.0"), metadata=sample.METADATA, expected=4)


def test_a_weak_measurement_is_refused_with_reasons(registry):
    identifier = sample.make_listing(quality=sample.functional(0.4, eighth=0.5), certify=False)
    decision = certify_version(identifier, version="1.0.0", at=sample.AT, metadata=sample.METADATA)

    assert isinstance(decision, VersionRefused)
    assert decision.code == "QUALITY_BELOW_THRESHOLD"
    assert "last eighth" in decision.reasons[0]
    row = ListingVersion.objects.get()
    assert (row.tier, row.refusal_code) == (None, "QUALITY_BELOW_THRESHOLD")
    assert row.refusal_reasons == list(decision.reasons)


@pytest.mark.parametrize("basis", [Basis.SIMULATED, Basis.DECLARED, Basis.ACTIVATION])
def test_figures_without_a_run_of_the_target_are_never_certified(registry, basis):
    identifier = sample.make_listing(quality=sample.unmeasured(basis, epsilon=0.0), certify=False)
    decision = certify_version(identifier, version="1.0.0", at=sample.AT, metadata=sample.METADATA)
    assert isinstance(decision, VersionRefused)
    assert Listing.objects.get().tier is None


def test_a_standing_decision_is_returned_without_a_new_event(registry):
    identifier = sample.make_listing()
    later = sample.AT + timedelta(days=100)
    decision = certify_version(identifier, version="1.0.0", at=later, metadata=sample.METADATA)
    assert isinstance(decision, VersionCertified)
    assert decision.issued_at == sample.AT
    assert event_types().count("listing.version_certified") == 1


def test_an_expired_certificate_is_renewed(registry):
    identifier = sample.make_listing()
    later = sample.AT + timedelta(days=366)
    decision = certify_version(identifier, version="1.0.0", at=later, metadata=sample.METADATA)
    assert isinstance(decision, VersionCertified)
    assert decision.issued_at == later
    assert ListingVersion.objects.get().certified_at == later


def test_a_yanked_version_leaves_the_offer_and_the_one_before_returns(registry):
    identifier = sample.make_listing(quality=sample.functional(0.97))
    sample.publish(identifier, "1.1.0", quality=sample.functional(0.6))
    assert Listing.objects.get().version == "1.1.0"

    yank_version(identifier, version="1.1.0", reason=" It was worse. ", by=sample.CURATOR)
    assert (Listing.objects.get().version, Listing.objects.get().tier) == ("1.0.0", "gold")
    assert ListingVersion.objects.get(version="1.1.0").yanked_reason == "It was worse."

    yank_version(identifier, version="1.0.0", reason="Too.", by=sample.CURATOR)
    row = Listing.objects.get()
    assert (row.version, row.basis, row.epsilon, row.file_digest) == (None, None, None, None)


def test_yanking_asks_for_a_reason_and_happens_once(registry):
    identifier = sample.make_listing()
    with pytest.raises(InvalidInput):
        yank_version(identifier, version="1.0.0", reason="  ", by=sample.CURATOR)
    yank_version(identifier, version="1.0.0", reason="Broken.", by=sample.CURATOR)
    with pytest.raises(Conflict):
        yank_version(identifier, version="1.0.0", reason="Broken.", by=sample.CURATOR)
    with pytest.raises(NotFound):
        yank_version(identifier, version="7.0.0", reason="Broken.", by=sample.CURATOR)


def test_a_yanked_version_keeps_its_decision_and_gets_no_new_one(registry):
    identifier = sample.make_listing()
    yank_version(identifier, version="1.0.0", reason="Broken.", by=sample.CURATOR)
    standing = certify_version(identifier, version="1.0.0", at=sample.AT, metadata=sample.METADATA)
    assert isinstance(standing, VersionCertified)
    later = sample.AT + timedelta(days=366)
    with pytest.raises(VersionYankedError):
        certify_version(identifier, version="1.0.0", at=later, metadata=sample.METADATA)
    assert event_types().count("listing.version_certified") == 1


def test_the_id_of_a_listing_depends_on_pair_seller_and_basis_only():
    parts = {"source": "a", "target": "b", "seller": "s", "basis": Basis.FUNCTIONAL}
    assert listing_id_for(**parts) == listing_id_for(**parts)
    others = [parts | {"source": "b", "target": "a"}, parts | {"seller": "t"}, parts | {"basis": Basis.SIMULATED}]
    assert len({listing_id_for(**each) for each in [parts, *others]}) == 4
