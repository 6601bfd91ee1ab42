"""What is seen of a memory, and what the policy makes of the forecast by it."""

from dataclasses import replace

import numpy as np
import pytest

from kvcache.exchange.exchange import exchange
from kvcache.exchange.mapping import open_w_matrix
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.policy import LEAST_EXPECTED, Policy
from kvcache.exchange.quality import Evidence
from kvcache.exchange.signs import DISTANCE, INNOVATION, LENGTH, UNEXPLAINED
from kvcache.rows import pack_rows
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.forecast import Forecast
from latentmas.protocol.quality import TokenMode
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.exchange.sample import ANY, CERTIFICATE, GEOMETRY, OTHER, cache, rows_of, w_matrix
from tests.marketplace.sample import functional

TOKENS = 40
SPANS = np.array([(2 * i, 2 * i + 2) for i in range(TOKENS)])
WIDTH = GEOMETRY.layer_width
RNG = np.random.default_rng(5)
CORRECTION = {
    "correction_encoder": RNG.normal(size=(1, WIDTH, 2)).astype("f4"),
    "correction_decoder": RNG.normal(size=(2, GEOMETRY.width)).astype("f4"),
}
RECORD = Evidence(quality=functional(0.9), certificate=CERTIFICATE)


def forecast(sign: str, slope: float, *, mode: TokenMode = TokenMode.TOKENS_KNOWN) -> Forecast:
    """0.8 for a memory as in calibration; `slope` for each unit of the sign's logarithm more."""
    nothing = ((0.0, 0.0), (0.0, 0.0))
    return Forecast(mode, (sign,), (0.0,), (1.0,), (0.8, slope), nothing, spread=0.05, quantile=2.0, memories=30)


def known(error: float = 0.1) -> TargetTokens:
    """The target's tokens are the source's, and its first layer nearly what the identity predicts."""
    first = rows_of(TOKENS)[1:, :WIDTH] + error * RNG.normal(size=(TOKENS, WIDTH)).astype("f4")
    return TargetTokens(SPANS, first_layer=first.astype("f4"))


def louder(snapshot: KVSnapshot, factor: float) -> KVSnapshot:
    return KVSnapshot(snapshot.frame, factor * snapshot.keys, factor * snapshot.values)


def test_the_signs_are_logarithms_of_what_is_seen() -> None:
    matrix = open_w_matrix(w_matrix(arrays=CORRECTION), explain=True)
    signs = exchange(cache(TOKENS), matrix, target=known(0.1), policy=ANY).signs
    assert signs[DISTANCE] == pytest.approx(0, abs=0.1)
    assert signs[INNOVATION] == pytest.approx(np.log(0.01), abs=0.1)
    assert signs[LENGTH] == pytest.approx(np.log(TOKENS))
    assert signs[UNEXPLAINED] < -10  # the identity sees everything


def test_what_the_encoder_does_not_see_is_unexplained() -> None:
    matrix = w_matrix(GEOMETRY, OTHER)
    opened = open_w_matrix(matrix, explain=True)
    snapshot = cache(TOKENS)
    frame = snapshot.frame
    rows = pack_rows(snapshot.keys, snapshot.values, geometry=GEOMETRY, positions=frame.positions)[1:]
    basis, _ = np.linalg.qr(matrix.arrays["encoder"])
    outside = 1 - np.square(rows @ basis).sum(1) / np.square(rows).sum(1)
    signs = exchange(snapshot, opened, policy=ANY).signs
    assert signs[UNEXPLAINED] == pytest.approx(np.log(np.median(outside)), abs=1e-3)


def test_without_a_forecast_nothing_is_computed_for_it() -> None:
    done = exchange(cache(TOKENS), w_matrix(arrays=CORRECTION), target=known(), policy=ANY)
    assert UNEXPLAINED not in done.signs
    assert done.quality.expected_retention is None


def test_a_memory_of_which_too_little_is_expected_is_not_handed_over() -> None:
    matrix = w_matrix(arrays=CORRECTION, forecasts=(forecast(DISTANCE, -0.5),))
    usual = exchange(cache(TOKENS), matrix, target=known(), evidence=RECORD).quality
    assert usual.retention == 0.9
    assert usual.expected_retention.value == pytest.approx(0.8, abs=0.05)
    assert usual.expected_retention.high - usual.expected_retention.low == pytest.approx(0.2)
    strange = louder(cache(TOKENS), 1.5)
    with pytest.raises(QualityBelowThreshold, match=r"expected of this memory is 0\.[34]\d .* is 0\.66") as refused:
        exchange(strange, matrix, target=known(), evidence=RECORD)
    assert refused.value.facts["decision"] == "fallback_reprefill"
    assert refused.value.facts["quality"]["expected_retention"]["value"] < LEAST_EXPECTED
    done = exchange(strange, matrix, target=known(), evidence=RECORD, policy=Policy(require_inside=False))
    assert any("less than what is taken without asking" in finding for finding in done.findings)


def test_the_minimum_retention_looks_at_what_is_expected() -> None:
    matrix = w_matrix(arrays=CORRECTION, forecasts=(forecast(INNOVATION, -0.1),))
    near, far = known(0.1), known(3.0)
    policy = Policy(minimum_retention=0.95)  # above the certificate's 0.9
    assert exchange(cache(TOKENS), matrix, target=near, evidence=RECORD, policy=policy)
    with pytest.raises(QualityBelowThreshold, match=r"minimum_retention asks for 0\.95"):
        exchange(cache(TOKENS), matrix, target=far, evidence=RECORD, policy=policy)


def test_a_forecast_holds_for_its_mode_alone() -> None:
    matrix = w_matrix(arrays=CORRECTION, forecasts=(forecast(DISTANCE, -0.5),))
    for target in (None, replace(known(), first_layer=None)):  # source's tokens, and without the correction
        done = exchange(cache(TOKENS), matrix, target=target, policy=ANY)
        assert done.quality.expected_retention is None


def test_few_tokens_reach_no_minimum() -> None:
    matrix = w_matrix(arrays=CORRECTION, forecasts=(forecast(LENGTH, 0.0, mode=TokenMode.SOURCE_TOKENS),))
    assert exchange(cache(TOKENS), matrix, policy=ANY).quality.expected_retention.value == pytest.approx(0.8)
    assert exchange(cache(8), matrix, policy=ANY).quality.expected_retention is None
    with pytest.raises(QualityBelowThreshold, match="not known, since the memory has too few tokens"):
        exchange(cache(8), matrix, policy=replace(ANY, minimum_retention=0.1))
