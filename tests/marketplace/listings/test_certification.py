"""What a certificate rests on: the certifier's measurement, and nothing that a publisher says."""

from dataclasses import replace
from datetime import timedelta

import pytest

from latentmas.events import store
from latentmas.events.models import Event
from latentmas.events.rebuilding import check, chosen
from latentmas.events.types import Metadata, decode, encode
from latentmas.protocol.certification import RANK
from latentmas.protocol.errors import Conflict, InvalidInput, NotFound, WMatrixNotFound
from latentmas.protocol.quality import Basis, declared
from marketplace.listings.aggregate import LISTING
from marketplace.listings.certificates.decisions import OLDER, PRIVATE_FAILED, PRIVATE_MISSING, RENEWAL
from marketplace.listings.certificates.standing import status_of
from marketplace.listings.choosing.choice import best
from marketplace.listings.commands import (
    CERTIFIER,
    certify_version,
    create_listing,
    measure_version,
    publish_version,
    recertify_version,
    revoke_certificate,
)
from marketplace.listings.errors import VersionYankedError
from marketplace.listings.events.certification import (
    VersionCertified,
    VersionMeasured,
    VersionRecertified,
    VersionRefused,
)
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.lifecycle.commands import yank_version
from marketplace.listings.models import ListingVersion
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
PAIR = {"source_model": sample.SOURCE, "target_model": sample.TARGET}
STRANGE = "sha256:" + "9" * 64
PROJECTOR = "marketplace.listings.projectors.project_listings"


@pytest.fixture
def uploaded(registry) -> str:
    """A version whose seller declares platinum, as nobody has measured it."""
    identifier = sample.listing_created().listing_id
    create_listing(sample.listing_created(), metadata=sample.METADATA)
    publication = sample.published(quality=sample.functional(0.999))
    publish_version(identifier, published=publication, metadata=sample.METADATA)
    return identifier


def measurement(quality=None, **changes) -> VersionMeasured:
    """Of a seller's file, on public and private cells."""
    publication = sample.published(quality=sample.functional(0.999))
    made = sample.measured(publication, quality or sample.functional(0.9))
    return replace(made, **{"made_here": False, "private": sample.private()} | changes)


def certify(identifier, *, at=sample.AT):
    return certify_version(identifier, version="1.0.0", at=at, metadata=sample.METADATA)


def row() -> ListingVersion:
    return ListingVersion.objects.get()


def test_declared_platinum_certifies_nothing(uploaded):
    assert row().epsilon == pytest.approx(0.001)
    decision = certify(uploaded)
    assert isinstance(decision, VersionRefused)
    assert decision.reasons == ("figures on the basis 'declared' are never certified; only measured ones are",)
    with pytest.raises(WMatrixNotFound):
        best(**PAIR, at=sample.AT)


def test_the_tier_is_that_of_the_measurement_whatever_is_declared(uploaded):
    measure_version(uploaded, measured=measurement())
    decision = certify(uploaded)
    assert isinstance(decision, VersionCertified)
    assert decision.tier == "silver"
    found = best(**PAIR, at=sample.AT)
    assert (found.basis, found.epsilon, found.declared["epsilon"]) == ("functional", *map(pytest.approx, (0.1, 0.001)))


def test_only_the_certifier_measures(uploaded):
    measure_version(uploaded, measured=measurement(), requested_by="token:abc")
    event = Event.objects.get(type="listing.version_measured")
    assert (event.metadata["actor"], event.metadata["correlation_id"]) == (CERTIFIER, "token:abc")
    assert event.payload["quality"]["corpus"]["digest"] == sample.CORPUS.digest
    assert event.payload["instrument"] | {"code": "arms/test", "seed": 7} == event.payload["instrument"]


@pytest.mark.parametrize(
    ("private", "reason"), [(None, PRIVATE_MISSING), (sample.private(passed=False), PRIVATE_FAILED)]
)
def test_a_strangers_file_needs_the_private_texts(uploaded, private, reason):
    measure_version(uploaded, measured=measurement(private=private))
    decision = certify(uploaded)
    assert isinstance(decision, VersionRefused)
    assert decision.reasons == (reason,)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"file": STRANGE}, "file"),
        ({"source_weights": STRANGE}, "source_weights"),
        ({"target_weights": STRANGE}, "target_weights"),
        ({"target_weights": "md5:1"}, "target_weights"),
        ({"quality": declared(sample.functional())}, "quality.basis"),
        ({"quality": replace(sample.functional(), corpus=None)}, "quality.corpus"),
        ({"quality": replace(sample.functional(), cosine_similarity=None)}, "quality"),
        ({"report": StoredFile(STRANGE, 10)}, "report"),
    ],
)
def test_a_measurement_is_bound_to_file_weights_and_text(uploaded, changes, field):
    with pytest.raises(InvalidInput) as refusal:
        measure_version(uploaded, measured=measurement(**changes))
    assert refusal.value.facts["field"] == field
    assert row().measured_at is None


def test_a_yanked_version_is_not_measured_any_more(uploaded):
    yank_version(uploaded, version="1.0.0", reason="Broken.", by=sample.CURATOR)
    with pytest.raises(VersionYankedError):
        measure_version(uploaded, measured=measurement())
    with pytest.raises(NotFound):
        measure_version(uploaded, measured=measurement(version="7.0.0"))


def test_a_worse_measurement_ends_a_better_certificate(uploaded):
    measure_version(uploaded, measured=measurement(sample.functional(0.97)))
    first = certify(uploaded)
    measure_version(uploaded, measured=measurement(sample.functional(0.8)))
    second = certify(uploaded, at=sample.AT + timedelta(days=1))
    assert RANK[second.tier] < RANK[first.tier]
    measure_version(uploaded, measured=measurement(sample.functional(0.3)))
    assert isinstance(certify(uploaded, at=sample.AT + timedelta(days=2)), VersionRefused)
    assert row().tier is None


@pytest.mark.parametrize(("measured", "gap"), [(0.9, pytest.approx(0.099)), (0.99, None)])
def test_a_declared_figure_beyond_the_measured_interval_is_flagged(client, uploaded, measured, gap):
    measure_version(uploaded, measured=measurement(sample.functional(measured)))
    document = client.get(f"/api/w-matrices/{uploaded}/versions/1.0.0").json()
    assert document["declared_gap"] == gap
    assert document["declared"]["basis"] == "declared"
    page = client.get(f"/w-matrices/{uploaded}").content.decode()
    assert ("The publisher declares" in page) == (gap is not None)


def test_what_nobody_has_measured_yet_waits_and_is_not_refused(client, uploaded):
    assert status_of(row(), at=sample.AT) == "pending"
    document = client.get(f"/api/w-matrices/{uploaded}/versions/1.0.0").json()
    assert (document["certification_status"], document["refusal_reasons"]) == ("pending", [])
    measure_version(uploaded, measured=measurement(sample.functional(0.2)))
    assert status_of(row(), at=sample.AT) == "refused"


def test_a_certificate_is_expiring_and_then_renewed(uploaded):
    measure_version(uploaded, measured=measurement())
    first = certify(uploaded)
    assert status_of(row(), at=sample.AT) == "certified"
    soon = first.expires_at - RENEWAL
    assert certify(uploaded, at=soon - timedelta(seconds=1)) == first
    assert status_of(row(), at=soon) == "expiring"
    assert row().tier_at(soon) == "silver"
    assert certify(uploaded, at=soon).issued_at == soon
    assert status_of(row(), at=first.expires_at) == "certified"


def test_a_revoked_certificate_is_gone_until_the_version_is_measured_again(client, uploaded):
    measure_version(uploaded, measured=measurement())
    certify(uploaded)
    with pytest.raises(InvalidInput):
        revoke_certificate(uploaded, version="1.0.0", reason=" ", metadata=sample.METADATA)
    revoke_certificate(uploaded, version="1.0.0", reason="Its corpus was ours.", metadata=sample.METADATA)
    assert status_of(row(), at=sample.AT) == "revoked"
    answer = client.get(f"/api/w-matrices/{uploaded}/versions/1.0.0/certificate")
    assert (answer.status_code, answer.json()["code"]) == (410, "CERTIFICATE_REVOKED")
    with pytest.raises(Conflict, match="was revoked"):
        certify(uploaded)
    with pytest.raises(Conflict, match="revoked already"):
        revoke_certificate(uploaded, version="1.0.0", reason="Again.", metadata=sample.METADATA)
    measure_version(uploaded, measured=measurement())
    assert isinstance(certify(uploaded), VersionCertified)
    assert row().revoked_at is None


def test_a_seller_is_not_his_own_validator(uploaded):
    quality = sample.with_suite()
    measure_version(uploaded, measured=measurement(quality))
    submitted = VersionRecertified(
        version="1.0.0",
        validator="agent:test",
        file=row().file_digest,
        suite=quality.suite.digest,
        instrument=sample.INSTRUMENT,
        cells=(),
        agrees=True,
    )
    with pytest.raises(InvalidInput) as refusal:
        recertify_version(uploaded, submitted=submitted, metadata=sample.METADATA)
    assert refusal.value.facts["field"] == "validator"


def test_there_must_be_a_certificate_to_revoke(uploaded):
    with pytest.raises(Conflict, match="carries no certificate"):
        revoke_certificate(uploaded, version="1.0.0", reason="Why not.", metadata=sample.METADATA)


def test_an_event_from_before_measurements_reads_as_measured_first():
    old = encode(sample.published(quality=sample.unmeasured())) | {"quality": encode(sample.functional())}
    del old["measured_first"]
    upcast = decode("listing.version_published", 2, old)
    assert (upcast.measured_first, upcast.quality.basis) == (True, Basis.FUNCTIONAL)


@pytest.fixture
def older(registry) -> str:
    """A listing as the factory wrote it before measurements were events of their own, with a valid certificate."""
    created = sample.listing_created(seller="latentmas")
    publication = replace(sample.published(), quality=sample.functional(0.97), measured_first=True)
    certified = VersionCertified(
        "1.0.0", "gold", "good", 0.03, issued_at=sample.AT, expires_at=sample.AT.replace(year=sample.AT.year + 1)
    )
    stream = LISTING.stream(created.listing_id)
    store.append(store.New(stream, [created, publication, certified], expected=0), metadata=Metadata("factory"))
    return created.listing_id


def test_an_older_certificate_stands_to_its_end_and_nothing_new_follows_from_it(older):
    assert (row().basis, row().tier_at(sample.AT)) == ("functional", "gold")
    end = sample.AT.replace(year=sample.AT.year + 1)
    assert certify(older, at=end - timedelta(days=1)).tier == "gold"
    assert Event.objects.filter(type="listing.version_certified").count() == 1
    refused = certify(older, at=end)
    assert isinstance(refused, VersionRefused)
    assert refused.reasons == (OLDER,)
    measure_version(older, measured=sample.measured(sample.published(), sample.functional(0.97)))
    assert certify(older, at=end).tier == "gold"


@pytest.mark.django_db(transaction=True)
def test_the_log_gives_the_same_rows(uploaded):
    measure_version(uploaded, measured=measurement())
    certify(uploaded)
    revoke_certificate(uploaded, version="1.0.0", reason="A mistake.", metadata=sample.METADATA)
    measure_version(uploaded, measured=measurement(sample.functional(0.8)))
    certify(uploaded)
    assert check(chosen([PROJECTOR])) == []
