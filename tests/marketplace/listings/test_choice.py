from datetime import timedelta

import pytest

from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import InvalidInput, WMatrixNotFound
from marketplace.listings.choice import best
from marketplace.listings.commands import certify_version
from marketplace.listings.lifecycle_commands import yank_version
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
    assert best(**PAIR, at=sample.AT, include_simulated=True).basis == "simulated"
    with pytest.raises(WMatrixNotFound):
        best(**PAIR, at=sample.AT, include_simulated=True, min_certification=Tier.BRONZE)


def test_best_prefers_a_certified_version_to_a_simulated_one(registry):
    sample.make_listing(quality=sample.functional(0.7))
    sample.make_listing(
        quality=sample.unmeasured(epsilon=0.0), listing_id="00000000-0000-4000-8000-000000000001", seller="agent:other"
    )
    assert best(**PAIR, at=sample.AT, include_simulated=True).basis == "functional"


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
    assert best(**PAIR, at=sample.AT, min_certification=Tier.SILVER).tier == "silver"
    with pytest.raises(WMatrixNotFound) as refusal:
        best(**PAIR, at=sample.AT, min_certification=Tier.GOLD)
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
