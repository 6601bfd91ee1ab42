from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from kvcache.exchange.exchange import exchange
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.policy import Policy
from kvcache.exchange.quality import Evidence
from latentmas.protocol.errors import (
    DimensionMismatch,
    InvalidInput,
    ModelNotSupported,
    QualityBelowThreshold,
    WMatrixNotFound,
)
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Basis
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.w_matrix import Distribution, QualityMetrics, Space
from tests.kvcache.exchange.sample import ANY, CERTIFICATE, GEOMETRY, OTHER, bos_of, cache, w_matrix
from tests.marketplace.sample import functional

NEVER = datetime(2500, 1, 1, tzinfo=UTC)
KNOWN = TargetTokens(np.array([(2 * i, 2 * i + 2) for i in range(20)]))  # the target's tokens are the source's


def test_without_a_certificate_nothing_is_handed_over() -> None:
    with pytest.raises(QualityBelowThreshold, match="carries no certificate: too bad") as refused:
        exchange(cache(), w_matrix(), target=KNOWN, evidence=Evidence(refusals=("too bad",)))
    facts = refused.value.facts
    assert facts["decision"] == "fallback_reprefill"
    assert facts["quality"]["information_retention"] == 0.8
    assert "let beta read the text itself" in refused.value.advice


def test_an_expired_certificate_counts_as_none() -> None:
    with pytest.raises(QualityBelowThreshold, match="expired on 2200-01-01"):
        exchange(cache(), w_matrix(), evidence=Evidence(certificate=CERTIFICATE, at=NEVER))


def test_the_quality_is_that_of_the_record() -> None:
    record = Evidence(quality=functional(0.9), certificate=CERTIFICATE)
    quality = exchange(cache(), w_matrix(), target=KNOWN, evidence=record).quality
    assert (quality.cosine_similarity, quality.euclidean_distance) == (0.91, 0.4)
    assert (quality.retention, quality.confidence) == (0.9, pytest.approx(0.88))
    assert quality.basis is Basis.FUNCTIONAL


def test_what_was_not_measured_is_none() -> None:
    quality = exchange(cache(), w_matrix(), target=KNOWN, policy=ANY).quality
    assert (quality.cosine_similarity, quality.euclidean_distance, quality.confidence) == (None, None, None)
    assert quality.retention == 0.8


@pytest.mark.parametrize(("policy", "passes"), [(0.85, True), (0.91, False)])
def test_the_minimum_retention_is_the_callers(policy: float, passes: bool) -> None:
    record = Evidence(quality=functional(0.9), certificate=CERTIFICATE)
    if passes:
        exchange(cache(), w_matrix(), target=KNOWN, policy=Policy(minimum_retention=policy), evidence=record)
        return
    with pytest.raises(QualityBelowThreshold, match=r"retention is 0\.900; minimum_retention asks for 0\.91"):
        exchange(cache(), w_matrix(), target=KNOWN, policy=Policy(minimum_retention=policy), evidence=record)


def test_the_lower_end_of_the_interval_can_be_asked_for() -> None:
    record = Evidence(quality=functional(0.9), certificate=CERTIFICATE)
    with pytest.raises(QualityBelowThreshold, match=r"minimum_confidence asks for 0\.89"):
        exchange(cache(), w_matrix(), target=KNOWN, policy=Policy(minimum_confidence=0.89), evidence=record)


def test_an_unmeasured_retention_reaches_no_minimum() -> None:
    stated = QualityMetrics(Basis.ACTIVATION, 0.95, 0.95, 1)
    with pytest.raises(QualityBelowThreshold, match="retention was not measured"):
        exchange(cache(), w_matrix(quality_metrics=stated), target=KNOWN, policy=replace(ANY, minimum_retention=0.1))


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan")])
def test_it_refuses_a_policy_that_nothing_could_reach(least: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        Policy(minimum_retention=least)


def like(low: float, high: float) -> Distribution:
    return Distribution(low=low, high=high, documents=10)


def test_a_snapshot_like_those_of_calibration_is_inside() -> None:
    quality = exchange(cache(60), w_matrix(distribution=like(0.7, 1.4)), policy=ANY).quality
    assert quality.inside
    assert quality.distance == pytest.approx(1.0, abs=0.1)
    assert quality.outside_share < 0.2


def test_a_snapshot_outside_of_what_was_calibrated_is_not_handed_over() -> None:
    snapshot = cache(60)
    strange = KVSnapshot(snapshot.frame, 3 * snapshot.keys, snapshot.values)
    with pytest.raises(QualityBelowThreshold, match="outside the calibrated distribution") as refused:
        exchange(strange, w_matrix(distribution=like(0.7, 1.4)), policy=ANY)
    assert refused.value.facts["quality"]["inside"] is False
    done = exchange(strange, w_matrix(distribution=like(0.7, 1.4)), policy=replace(ANY, require_inside=False))
    assert "the snapshot lies outside the calibrated distribution" in done.findings


def test_few_tokens_are_not_judged() -> None:
    done = exchange(cache(5), w_matrix(distribution=like(50, 60)), policy=ANY)
    assert done.quality.inside is None
    assert any("fewer than 16 tokens" in finding for finding in done.findings)


def test_a_w_matrix_without_a_distribution_judges_nothing() -> None:
    done = exchange(cache(), w_matrix(without=("latent_scale",)), policy=ANY)
    assert (done.quality.distance, done.quality.inside) == (None, None)
    assert any("was not judged" in finding for finding in done.findings)


def test_it_refuses_another_models_memory() -> None:
    with pytest.raises(WMatrixNotFound, match="of alpha with the model alpha; the snapshot's is gamma") as refused:
        exchange(cache(model="gamma"), w_matrix(), policy=ANY)
    assert refused.value.facts["decision"] == "unsupported"


def test_it_refuses_another_revision() -> None:
    with pytest.raises(WMatrixNotFound, match=r"the weights sha256:a+; the snapshot's is sha256:b+"):
        exchange(cache(weights="sha256:" + "b" * 64), w_matrix(), policy=ANY)


def test_weights_that_nobody_names_are_a_finding() -> None:
    findings = exchange(cache(weights=None), w_matrix(), policy=ANY).findings
    assert any("weights were not compared" in finding for finding in findings)


def test_it_refuses_another_geometry_naming_what_was_expected() -> None:
    with pytest.raises(DimensionMismatch, match="layers is 3; this W-Matrix takes alpha with 2") as refused:
        exchange(cache(5, OTHER), w_matrix(), policy=ANY)
    assert (refused.value.facts["expected"], refused.value.facts["came"]) == (2, 3)


def test_it_refuses_a_w_matrix_of_another_space() -> None:
    with pytest.raises(InvalidInput, match="maps embedding vectors"):
        exchange(cache(), w_matrix(space=Space.EMBEDDING), policy=ANY)


def test_it_refuses_a_w_matrix_without_geometry() -> None:
    with pytest.raises(DimensionMismatch, match="states no geometry"):
        exchange(cache(), w_matrix(source_geometry=None, target_geometry=None), policy=ANY)


def test_it_refuses_a_w_matrix_without_the_targets_sink() -> None:
    with pytest.raises(DimensionMismatch, match="lacks target_bos"):
        exchange(cache(), w_matrix(without=("target_bos",)), policy=ANY)


LATENT = KVGeometry(2, 1, 4, 4, (1e4, 1e4), (None, None), value_dim=28)


def test_a_latent_cache_whose_rope_key_can_be_unrotated_is_mapped() -> None:
    done = exchange(cache(5, LATENT), w_matrix(LATENT, LATENT), policy=ANY)
    assert done.snapshot.values.shape == (2, 6, 1, 28)


def test_it_refuses_a_latent_cache_whose_rotation_stays() -> None:
    kept = replace(LATENT, rotary_dim=0)
    with pytest.raises(ModelNotSupported, match="alpha caches a latent"):
        exchange(cache(5, kept), w_matrix(kept, GEOMETRY), policy=ANY)


def test_bos_far_from_the_calibrated_one_is_still_bos_by_its_offsets() -> None:
    done = exchange(cache(), w_matrix(arrays={"source_bos": -bos_of()}), policy=ANY)
    assert done.snapshot.frame.tokens == 21
    assert np.isfinite(done.snapshot.keys).all()
