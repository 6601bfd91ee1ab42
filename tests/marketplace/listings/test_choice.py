from datetime import timedelta

import pytest

from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import InvalidInput, WMatrixNotFound
from latentmas.protocol.money import Money
from latentmas.protocol.versions import parse_version
from marketplace.listings.choosing.choice import best, reachable
from marketplace.listings.choosing.wanted import Wanted
from marketplace.listings.commands import certify_version
from marketplace.listings.lifecycle.commands import yank_version
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
PAIR = {"source_model": sample.SOURCE, "target_model": sample.TARGET}


def test_best_is_the_certified_version_with_the_lowest_epsilon(registry):
    sample.make_listing(quality=sample.functional(0.8))
    better = sample.make_listing(
        quality=sample.functional(0.92), listing_id="00000000-0000-4000-8000-000000000001", seller="agent:other"
    )
    assert best(**PAIR, at=sample.AT).listing_id == better


def test_best_prefers_an_older_version_that_is_better(registry):
    identifier = sample.make_listing(quality=sample.functional(0.95))
    sample.publish(identifier, "1.1.0", quality=sample.functional(0.8))
    certify_version(identifier, version="1.1.0", at=sample.AT, metadata=sample.METADATA)
    assert best(**PAIR, at=sample.AT).version == "1.0.0"


def test_best_never_returns_simulated_figures_unless_asked(registry):
    sample.make_listing(quality=sample.unmeasured(epsilon=0.0))
    with pytest.raises(WMatrixNotFound) as refusal:
        best(**PAIR, at=sample.AT)
    assert "include_simulated=true" in refusal.value.advice
    assert best(**PAIR, at=sample.AT, wanted=Wanted(simulated=True)).basis == "simulated"
    with pytest.raises(WMatrixNotFound):
        best(**PAIR, at=sample.AT, wanted=Wanted(simulated=True, floor=Tier.BRONZE))


def test_best_prefers_a_certified_version_to_a_simulated_one(registry):
    sample.make_listing(quality=sample.functional(0.7))
    sample.make_listing(
        quality=sample.unmeasured(epsilon=0.0), listing_id="00000000-0000-4000-8000-000000000001", seller="agent:other"
    )
    assert best(**PAIR, at=sample.AT, wanted=Wanted(simulated=True)).basis == "functional"


def test_best_refuses_what_failed_its_controls(registry):
    sample.make_listing(quality=sample.functional(0.4, eighth=0.5))
    with pytest.raises(WMatrixNotFound) as refusal:
        best(**PAIR, at=sample.AT)
    assert refusal.value.facts["measured_without_certificate"] == 1
    assert f"GET /api/w-matrices?source_model={sample.SOURCE}" in refusal.value.advice


def test_best_counts_an_expired_certificate_as_none(registry):
    sample.make_listing()
    with pytest.raises(WMatrixNotFound):
        best(**PAIR, at=sample.AT + timedelta(days=365, seconds=1))


def test_best_names_the_best_tier_there_is(registry):
    sample.make_listing(quality=sample.functional(0.92))
    assert best(**PAIR, at=sample.AT, wanted=Wanted(floor=Tier.SILVER)).tier == "silver"
    with pytest.raises(WMatrixNotFound) as refusal:
        best(**PAIR, at=sample.AT, wanted=Wanted(floor=Tier.GOLD))
    assert "min_certification=silver" in refusal.value.advice


def test_best_refuses_one_model_on_both_sides():
    with pytest.raises(InvalidInput, match="same model"):
        best(source_model="gpt-4", target_model="gpt-4", at=sample.AT)


def test_best_skips_a_yanked_version(registry):
    identifier = sample.make_listing()
    yank_version(identifier, version="1.0.0", reason="Broken.", by=sample.CURATOR)
    with pytest.raises(WMatrixNotFound) as refusal:
        best(**PAIR, at=sample.AT)
    assert "/compatible" in refusal.value.advice


def test_the_version_must_be_compatible_with_the_required_one(registry):
    identifier = sample.make_listing(quality=sample.functional(0.97))
    for version, kept in (("1.4.2", 0.9), ("2.0.0", 0.99)):
        sample.publish(identifier, version, quality=sample.functional(kept))
        certify_version(identifier, version=version, at=sample.AT, metadata=sample.METADATA)

    def chosen(required):
        return best(**PAIR, at=sample.AT, wanted=Wanted(version=parse_version(required))).version

    assert (chosen("1.0.0"), chosen("1.0.1"), chosen("1.4.2"), chosen("2.0.0")) == ("1.0.0", "1.4.2", "1.4.2", "2.0.0")
    for required in ("1.4.3", "1.5.0", "3.0.0"):
        with pytest.raises(WMatrixNotFound, match=f"compatible with {required}"):
            chosen(required)


def test_the_price_has_a_ceiling(registry):
    sample.make_listing(quality=sample.functional(0.97), price=Money(500, "USD"))
    cheap = sample.make_listing(
        quality=sample.functional(0.8), listing_id="00000000-0000-4000-8000-000000000001", seller="agent:other"
    )
    assert best(**PAIR, at=sample.AT, wanted=Wanted(price_max=499)).listing_id == cheap
    assert best(**PAIR, at=sample.AT, wanted=Wanted(price_max=500)).listing_id != cheap


def test_what_a_model_reaches_can_be_narrowed(registry):
    sample.make_listing(quality=sample.functional(0.8))
    sample.make_listing(sample.SOURCE, "gpt-4", quality=sample.unmeasured())

    def targets(**more):
        return [row.target_model for row in reachable(sample.SOURCE, at=sample.AT, wanted=Wanted(**more))]

    assert targets() == [sample.TARGET, "gpt-4"]
    assert targets(floor=Tier.BRONZE) == [sample.TARGET]
    assert targets(floor=Tier.GOLD) == targets(target_weights="sha256:" + "9" * 64) == []
