"""What a context may expect of a suite's figures, and the specification's targets."""

from dataclasses import replace

import pytest

from latentmas.protocol.expected import covering, expected
from latentmas.protocol.quality import Basis, TokenMode
from latentmas.protocol.targets import target_verdicts
from tests.marketplace.sample import SUITE, cell, functional, suite, unmeasured, with_suite


def test_the_smallest_length_that_covers_the_context_counts() -> None:
    assert [covering((1024, 256), tokens) for tokens in (None, 1, 256, 257, 1024, 1025)] == [
        *(256, 256, 256, 1024, 1024),
        None,
    ]


def test_the_worst_register_and_the_mean_over_registers_are_given() -> None:
    found = expected(SUITE, 200)
    assert found is not None
    assert (found.length, found.worst.register, found.worst.retention.value) == (256, "code", 0.75)
    assert found.mean == pytest.approx((0.86 + 0.75) / 2)  # without the sampled text


def test_a_mode_that_was_not_measured_has_no_figure() -> None:
    aligned_only = suite(cell("news", 256, 0.9, source_tokens=None))
    assert expected(aligned_only, 256, mode=TokenMode.SOURCE_TOKENS) is None
    found = expected(SUITE, 256, mode=TokenMode.SOURCE_TOKENS)
    assert found is not None
    assert found.worst.retention.value == pytest.approx(0.65)


def test_beyond_every_length_nothing_is_expected() -> None:
    assert expected(SUITE, 4096) is None


def test_the_specifications_targets_are_met_or_not() -> None:
    good = replace(functional(0.97), euclidean_distance=0.1, information_retention=0.97)
    assert [each.met for each in target_verdicts(good)] == [True] * 4
    assert [each.met for each in target_verdicts(replace(good, euclidean_distance=0.15))] == [True, False, True, True]


def test_with_a_suite_a_target_is_met_in_its_worst_register_or_not_at_all() -> None:
    figures = suite(cell("news", 256, 0.97), cell("code", 256, 0.8))
    cosine, distance, retention, confidence = target_verdicts(with_suite(figures))
    assert (cosine.target, cosine.measured, cosine.met) == ("> 0.90", 0.91, True)
    assert (distance.target, distance.met) == ("< 0.15", False)
    assert (retention.measured, retention.met) == (0.8, False)
    assert (confidence.measured, confidence.met) == (pytest.approx(0.78), False)


def test_a_target_is_neither_met_nor_missed_where_nothing_was_measured() -> None:
    confidence = target_verdicts(unmeasured(Basis.ACTIVATION))[-1]
    assert (confidence.measured, confidence.met) == (None, None)
