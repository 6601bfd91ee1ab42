"""Where a certificate holds, by the cells of an evaluation suite."""

from dataclasses import replace

import pytest

from latentmas.protocol.certification import Tier, certify, failures_of, refusals, scope_of
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.quality import SAMPLED, Basis, Cell, Interval, TokenMode
from tests.marketplace.sample import AT, SUITE, cell, suite, with_suite


def test_the_scope_ends_below_the_first_length_at_which_a_register_fails() -> None:
    scope = scope_of(SUITE)
    assert [each.length for each in scope.lengths] == [256, 1024]
    assert scope.longest == 1024
    assert scope.failures == (
        "code at 2048 tokens: retention may be as low as 0.490, while the last eighth of the context as text reaches "
        "0.500",
    )


def test_a_longer_length_does_not_count_once_a_shorter_one_has_failed() -> None:
    scope = scope_of(suite(cell("news", 256, 0.4), cell("news", 1024, 0.9)))
    assert scope.lengths == ()
    assert "news at 256 tokens" in scope.failures[0]


def test_the_tier_follows_from_the_worst_cell_by_the_lower_end_of_its_interval() -> None:
    steady, wide = cell("code", 256, 0.93), replace(cell("news", 256, 0.97), aligned=Interval(0.97, 0.89, 0.99))
    certificate = certify(with_suite(suite(steady, wide)), at=AT)
    assert certificate.tier is Tier.BRONZE
    assert certificate.epsilon == pytest.approx(0.11)
    assert certificate.scope is not None
    assert certificate.scope.worst.register == "news"


def test_each_length_has_its_own_tier_and_the_certificate_that_of_the_worst() -> None:
    certificate = certify(with_suite(suite(cell("news", 256, 0.98), cell("news", 1024, 0.93))), at=AT)
    assert certificate.scope is not None
    assert [each.tier for each in certificate.scope.lengths] == [Tier.GOLD, Tier.SILVER]
    assert certificate.tier is Tier.SILVER


@pytest.mark.parametrize(("tokens", "length"), [(1, 256), (256, 256), (257, 1024), (1024, 1024), (1025, None)])
def test_a_context_is_covered_by_the_shortest_length_that_is_no_shorter(tokens: int, length: int | None) -> None:
    covered = scope_of(SUITE).covering(tokens)
    assert (covered and covered.length) == length


def test_text_that_models_sampled_neither_fails_nor_lowers_anything() -> None:
    sampled = cell(SAMPLED, 256, -0.5)
    assert failures_of(sampled) == []
    assert scope_of(suite(cell("news", 256, 0.9), sampled)) == scope_of(suite(cell("news", 256, 0.9)))


def test_a_register_without_enough_texts_is_named() -> None:
    assert scope_of(SUITE).unmeasured == ("news at 1024 tokens",)


@pytest.mark.parametrize(
    ("control", "sentence"),
    [
        ("wrong_document", "wrong document's memory"),
        ("own_tokens", "own tokens with a stranger's memory"),
        ("tokens_only", "tokens alone"),
        ("random_w", "random W"),
        ("text_eighth", "last eighth"),
    ],
)
def test_a_cell_must_beat_every_control_that_was_measured(control: str, sentence: str) -> None:
    cell_ = cell("news", 256, 0.7, **{control: Interval(0.69, 0.65, 0.75)})
    (reason,) = failures_of(cell_)
    assert sentence in reason
    assert failures_of(replace(cell_, **{control: None})) == []


def test_what_the_memory_adds_to_its_tokens_is_judged_on_the_same_documents() -> None:
    wide = Interval(0.5, 0.3, 0.75)  # of documents that differ
    sure = replace(cell("news", 256, 0.7, tokens_only=wide), beyond_tokens=Interval(0.2, 0.01, 0.3))
    assert failures_of(sure) == []
    (reason,) = failures_of(replace(sure, beyond_tokens=Interval(0.2, -0.01, 0.3)))
    assert (
        reason
        == "news at 256 tokens: the memory may add as little as -0.010 to what a map of the target's tokens alone keeps"
    )


@pytest.mark.parametrize(
    ("control", "sentence"),
    [
        ("in_place_stranger", "in a stranger's memory"),
        ("in_place_alone", "after nothing"),
        ("text_eighth", "last eighth"),
    ],
)
def test_what_is_read_in_place_must_beat_the_same_tokens_elsewhere(control: str, sentence: str) -> None:
    cell_ = cell("news", 256, 0.6, **{control: Interval(0.69, 0.65, 0.75)})
    (reason,) = failures_of(cell_, TokenMode.READ_IN_PLACE)
    assert sentence in reason
    assert "an eighth of them read in place" in reason
    low = replace(cell_, **{control: Interval(0.5, 0.4, 0.6)})
    assert failures_of(low, TokenMode.READ_IN_PLACE) == []


def test_reading_in_place_without_a_control_earns_nothing() -> None:
    (reason,) = failures_of(cell("news", 256, 0.9, in_place_stranger=None), TokenMode.READ_IN_PLACE)
    assert "no control was measured" in reason


def test_a_map_that_fails_by_itself_is_certified_where_the_target_reads_in_place() -> None:
    weak = cell("code", 256, 0.51)  # the last eighth as text is as good
    certificate = certify(with_suite(suite(cell("news", 256, 0.9), weak)), at=AT)
    assert certificate.scope is not None
    assert (certificate.scope.mode, certificate.scope.worst.register) == ("read-in-place", "code")
    assert certificate.scope.worst.low == pytest.approx(weak.in_place.low)


def test_without_reading_comes_first() -> None:
    certificate = certify(with_suite(suite(cell("news", 256, 0.9))), at=AT)
    assert certificate.scope is not None
    assert certificate.scope.mode == "tokens-known"


def test_the_reasons_of_a_refusal_name_both_ways() -> None:
    reasons = refusals(with_suite(suite(cell("news", 256, 0.3))))
    assert any("an eighth of them read in place" in each for each in reasons)
    assert any("an eighth of them" not in each for each in reasons)


def test_a_cell_without_any_control_passes_nothing() -> None:
    bare = Cell("news", 256, 24, 1000, aligned=Interval(0.9, 0.88, 0.92), text_eighth=Interval(0.5, 0.4, 0.6))
    assert failures_of(bare) == ["news at 256 tokens: no control was measured"]


def test_a_suite_in_which_nothing_was_measured_earns_no_certificate() -> None:
    with pytest.raises(QualityBelowThreshold, match="no cell of suite/1 was measured"):
        certify(with_suite(suite(cell("news", 256, None))), at=AT)


def test_figures_of_a_suite_are_certified_only_where_they_were_measured() -> None:
    assert refusals(replace(with_suite(), basis=Basis.DECLARED))


def test_figures_of_no_suite_have_no_scope() -> None:
    assert certify(replace(with_suite(), suite=None), at=AT).scope is None
