"""The certificate's scope at a hand-over, and the figures of the evaluation suite that the answer names."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kvcache.exchange.exchange import Exchanged, exchange
from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.policy import Policy, quality_facts
from kvcache.exchange.quality import Evidence
from latentmas.protocol.certification import certify
from latentmas.protocol.errors import InvalidInput, QualityBelowThreshold
from latentmas.protocol.quality import Interval, Quality, SuiteFigures, TokenMode
from tests.kvcache.exchange.sample import ANY, GEOMETRY, OTHER, cache, w_matrix
from tests.kvcache.exchange.test_correction import correcting
from tests.marketplace.sample import AT, SUITE, cell, functional, suite, with_suite

# As SUITE, but short: the certificate covers 20 tokens, at 30 a register fails.
SHORT = suite(
    cell("news", 10, 0.86), cell("code", 10, 0.75), cell("news", 20, 0.8), cell("code", 20, 0.7), cell("code", 30, 0.51)
)
WEIGHTS, OTHERS = ("sha256:" + digit * 64 for digit in "bd")


def evidence(quality: Quality | None = None, **more: Any) -> Evidence:
    known = quality or with_suite(SHORT)
    return Evidence(quality=known, certificate=certify(known, at=AT), at=AT, **more)


def spans(tokens: int, reread: Any = None) -> TargetTokens:
    places = np.array([(2 * i, 2 * i + 2) for i in range(tokens)])
    return TargetTokens(places, reread=None if reread is None else np.array(reread))


def handed(tokens: int, *, known: bool = True, reread: Any = None, **more: Any) -> Exchanged:
    """Hand over so many tokens after BOS."""
    options = {"policy": Policy(), "evidence": evidence()} | more
    return exchange(cache(tokens), w_matrix(), target=spans(tokens, reread) if known else None, **options)


def test_a_context_within_the_scope_is_handed_over() -> None:
    assert handed(20).decision == "applied"


@pytest.mark.parametrize(("known", "field"), [(True, "target_spans"), (False, "kv_cache")])
def test_a_longer_context_is_for_the_target_to_read(known: bool, field: str) -> None:
    with pytest.raises(QualityBelowThreshold, match="the context has 21 tokens") as refused:
        handed(21, known=known)
    facts = refused.value.facts
    assert facts["decision"] == "fallback_reprefill"
    assert (facts["field"], facts["came"], facts["expected"]) == (field, 21, 20)
    assert "code at 30 tokens: retention may be as low as" in str(facts["reason"])
    for way_out in ("Hand over at most 20 tokens", "let beta read", "context_tokens=21", "require_scope=false"):
        assert way_out in refused.value.advice


def test_the_caller_may_insist() -> None:
    done = handed(21, policy=Policy(require_scope=False))
    assert "the context has 21 tokens, more than the 20 that the certificate covers" in done.findings


def test_the_targets_tokens_are_counted_where_they_are_known() -> None:
    halves = TargetTokens(np.array([(i, i + 1) for i in range(40)]))  # two for each of the source's
    with pytest.raises(QualityBelowThreshold, match="the context has 40 tokens of beta"):
        exchange(cache(20), w_matrix(), target=halves, evidence=evidence())


def test_bos_is_no_token_of_the_context() -> None:
    with_bos = TargetTokens(np.array([(0, 0), *((2 * i, 2 * i + 2) for i in range(20))]))
    assert exchange(cache(20), w_matrix(), target=with_bos, evidence=evidence()).decision == "applied"


def test_a_selection_of_a_long_context_is_as_long_as_the_context() -> None:
    """What is left of it stands where it stood, and no suite has measured that."""
    selected = cache(30).select(np.arange(0, 31, 3))
    with pytest.raises(QualityBelowThreshold, match="the context has 30 tokens"):
        exchange(selected, w_matrix(), evidence=evidence())


def test_a_certificate_without_a_scope_refuses_no_length_but_is_a_finding() -> None:
    done = handed(20, evidence=evidence(functional()))
    assert any("names no evaluation suite" in finding for finding in done.findings)
    assert not any("names no evaluation suite" in finding for finding in handed(20).findings)


@pytest.mark.parametrize(
    ("tokens", "length", "retention", "mean"), [(5, 10, 0.75, 0.805), (10, 10, 0.75, 0.805), (11, 20, 0.7, 0.75)]
)
def test_the_figures_are_those_of_the_worst_register_at_the_length_that_covers_the_context(
    tokens: int, length: int, retention: float, mean: float
) -> None:
    quality = handed(tokens).quality
    assert (quality.suite, quality.length, quality.register) == ("suite/1", length, "code")
    assert (quality.retention, quality.confidence) == (retention, pytest.approx(retention - 0.02))
    assert quality.mean_retention == pytest.approx(mean)
    assert [each.register for each in quality.registers] == ["news", "code"]


def test_the_minimum_is_compared_with_the_worst_register() -> None:
    with pytest.raises(QualityBelowThreshold, match=r"retention of code at 10 tokens is 0\.750; minimum_retention"):
        handed(10, policy=Policy(minimum_retention=0.8))
    assert handed(10, policy=Policy(minimum_retention=0.74))


def test_beyond_every_length_of_the_suite_nothing_is_known() -> None:
    quality = handed(31, policy=Policy(require_scope=False)).quality
    assert (quality.suite, quality.length, quality.retention, quality.cosine_similarity) == ("suite/1", *[None] * 3)


# Without the target's tokens: figures of that mode, or none.


def test_source_tokens_have_their_own_figures() -> None:
    done = handed(10, known=False)
    assert done.quality.mode is TokenMode.SOURCE_TOKENS
    assert (done.quality.register, done.quality.retention) == ("code", pytest.approx(0.65))
    assert (done.quality.cosine_similarity, done.quality.euclidean_distance) == (None, None)
    assert any("the target's tokens were not given" in finding for finding in done.findings)


@pytest.mark.parametrize("figures", [None, suite(cell("code", 20, 0.7, source_tokens=None))])
@pytest.mark.parametrize("corrects", [True, False])
def test_a_figure_of_the_span_mode_never_stands_in_for_source_tokens(
    figures: SuiteFigures | None, corrects: bool
) -> None:
    quality = replace(functional(), suite=figures, uncorrected=Interval(0.83, 0.81, 0.85))
    matrix = correcting() if corrects else w_matrix(GEOMETRY, OTHER)
    found = exchange(cache(20), matrix, evidence=evidence(quality)).quality
    assert (found.retention, found.information_retention, found.confidence) == (None, None, None)
    with pytest.raises(QualityBelowThreshold, match="without the target's tokens was not measured") as refused:
        exchange(cache(20), matrix, evidence=evidence(quality), policy=Policy(minimum_retention=0.1))
    assert "target_spans" in refused.value.advice


def test_a_file_alone_says_nothing_of_source_tokens() -> None:
    assert exchange(cache(20), w_matrix(), policy=ANY).quality.retention is None


def test_the_plain_map_was_measured_at_the_shortest_length_only() -> None:
    """Tokens known, but not their first layer, by which the W-Matrix corrects."""
    record = evidence(replace(with_suite(SHORT), uncorrected=Interval(0.83, 0.81, 0.85)))
    short, long = (
        exchange(cache(tokens), correcting(), target=spans(tokens), evidence=record).quality for tokens in (10, 11)
    )
    assert (short.retention, long.retention) == (0.83, None)


def test_the_facts_are_plain_data() -> None:
    facts = quality_facts(handed(10).quality)
    assert (facts["basis"], facts["mode"]) == ("functional", "tokens-known")
    assert facts["registers"][1]["retention"]["value"] == 0.75


# The receiver's weights.


def test_a_receiver_of_other_weights_than_measured_is_told() -> None:
    done = handed(10, evidence=evidence(target_weights=WEIGHTS), target_weights=OTHERS)
    assert f"the receiver's weights {OTHERS} are not those the figures were measured with, {WEIGHTS}" in done.findings


@pytest.mark.parametrize("stated", [WEIGHTS, None])
def test_the_same_weights_and_unstated_ones_are_no_finding(stated: str | None) -> None:
    done = handed(10, evidence=evidence(target_weights=WEIGHTS), target_weights=stated)
    assert not any("receiver's weights" in finding for finding in done.findings)


def test_weights_that_nothing_can_be_compared_with_are_said_to_be_so() -> None:
    assert any("were not compared: nothing says" in finding for finding in handed(10, target_weights=WEIGHTS).findings)


def test_the_sample_ends_where_it_says() -> None:
    assert certify(with_suite(SUITE), at=AT).scope.longest == 1024  # type: ignore[union-attr]


# By themselves such memories fail; they pass where an eighth is read in place.
IN_PLACE = suite(cell("news", 10, 0.6), cell("code", 10, 0.51), cell("news", 24, 0.6), cell("code", 24, 0.51))


def test_a_certificate_for_reading_in_place_holds_where_an_eighth_is_read() -> None:
    known = with_suite(IN_PLACE)
    done = handed(20, reread=[3, 7], evidence=evidence(known))
    assert done.quality.mode is TokenMode.READ_IN_PLACE
    assert done.quality.retention == pytest.approx(0.61)
    assert done.snapshot.frame.tokens == 21


@pytest.mark.parametrize("reread", [None, [3]])
def test_it_does_not_where_less_is_read(reread: list[int] | None) -> None:
    with pytest.raises(QualityBelowThreshold, match=r"reread=0\.125") as refused:
        handed(20, reread=reread, evidence=evidence(with_suite(IN_PLACE)))
    assert refused.value.facts["decision"] == "fallback_reprefill"
    assert handed(20, reread=reread, evidence=evidence(with_suite(IN_PLACE)), policy=ANY).decision == "applied"


def test_reading_in_place_is_named_where_it_was_measured_and_the_certificate_covers_it_anyway() -> None:
    assert handed(20, reread=[3, 7]).quality.mode is TokenMode.READ_IN_PLACE
    unmeasured = suite(*(replace(each, in_place=None) for each in SHORT.cells))
    assert handed(20, reread=[3, 7], evidence=evidence(with_suite(unmeasured))).quality.mode is TokenMode.TOKENS_KNOWN


@pytest.mark.parametrize("reread", [[0], [21], [3, 3], [[1]], [1.5]])
def test_tokens_that_are_not_there_cannot_be_read(reread: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        handed(20, reread=reread)
    assert refused.value.facts["field"] == "reread"
