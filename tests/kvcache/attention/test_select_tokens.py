"""Selection keeps the fewest tokens that reach the threshold, with sinks and recent tokens protected."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvcache.attention.selection import select_tokens


def masses(tokens: int, seed: int) -> np.ndarray:
    mass = np.random.default_rng(seed).gamma(0.3, size=tokens) + 1e-12
    return mass / mass.sum()


@given(st.integers(1, 11), st.integers(0, 10_000), st.floats(0.05, 1.0), st.integers(0, 2), st.integers(0, 2))
@settings(deadline=None)
def test_no_smaller_set_reaches_the_threshold(
    tokens: int, seed: int, threshold: float, sinks: int, recent: int
) -> None:
    mass = masses(tokens, seed)
    kept, coverage = select_tokens(mass, threshold=threshold, sinks=sinks, recent=recent)
    protected = {*range(min(sinks, tokens)), *range(max(0, tokens - recent), tokens)}
    assert protected <= set(kept.tolist())
    assert coverage == pytest.approx(mass[kept].sum())
    assert coverage >= threshold - 1e-8
    for smaller in combinations(range(tokens), len(kept) - 1):
        assert not (protected <= set(smaller) and mass[list(smaller)].sum() >= threshold + 1e-8)


def test_sinks_and_recent_tokens_stay_however_little_they_matter() -> None:
    mass = np.zeros(20)
    mass[9] = 1.0
    kept, coverage = select_tokens(mass, threshold=0.9, sinks=2, recent=3)
    assert kept.tolist() == [0, 1, 9, 17, 18, 19]
    assert coverage == 1.0


def test_the_minimum_is_filled_by_mass() -> None:
    mass = np.array([0.1, 0.5, 0.1, 0.2, 0.1])
    kept, _ = select_tokens(mass, threshold=0.3, sinks=0, recent=0, min_tokens=2)
    assert kept.tolist() == [1, 3]


def test_fewer_tokens_than_the_minimum_are_all_kept() -> None:
    kept, coverage = select_tokens(masses(6, 0), threshold=0.1, min_tokens=10)
    assert kept.tolist() == list(range(6))
    assert coverage == pytest.approx(1.0)


def test_the_maximum_wins_over_threshold_and_protection_and_the_coverage_says_so() -> None:
    kept, coverage = select_tokens(np.full(10, 0.1), threshold=0.9, sinks=2, recent=4, max_tokens=4)
    assert kept.tolist() == [0, 1, 8, 9]
    assert coverage == pytest.approx(0.4)


def test_one_token_is_kept() -> None:
    kept, coverage = select_tokens(np.ones(1), threshold=1.0)
    assert kept.tolist() == [0]
    assert coverage == 1.0


def test_a_threshold_of_one_leaves_out_only_what_nothing_attends_to() -> None:
    kept, _ = select_tokens(np.array([0.5, 0.0, 0.5]), threshold=1.0, sinks=0, recent=0)
    assert kept.tolist() == [0, 2]
