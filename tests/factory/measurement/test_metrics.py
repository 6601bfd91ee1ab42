"""Retention and retrieval, and their intervals."""

import numpy as np
import pytest

from factory.measurement.metrics import mean_reciprocal_rank, ranks, retention, retrieval
from latentmas.protocol.errors import InvalidInput

NOTHING = np.array([4.0, 5.0, 3.0, 6.0])
OWN = np.array([3.0, 3.0, 2.5, 4.0])
BASIS = np.eye(4, dtype="f4")


def test_the_models_own_memory_retains_everything() -> None:
    interval = retention(OWN, nothing=NOTHING, own=OWN)
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)


def test_no_memory_retains_nothing() -> None:
    assert retention(NOTHING, nothing=NOTHING, own=OWN).value == 0.0


def test_a_harmful_memory_is_negative() -> None:
    assert retention(NOTHING + 1, nothing=NOTHING, own=OWN).value < 0


def test_it_is_a_ratio_of_means_not_a_mean_of_ratios() -> None:
    memory = np.array([4.0, 3.0, 3.0, 4.0])  # nothing, all, nothing, all
    assert retention(memory, nothing=NOTHING, own=OWN).value == pytest.approx(4.0 / 5.5)


def test_the_interval_holds_the_value_and_is_the_same_every_time() -> None:
    memory = np.array([3.5, 3.5, 2.9, 4.2])
    first, second = (retention(memory, nothing=NOTHING, own=OWN) for _ in range(2))
    assert first == second
    assert first.low < first.value < first.high


def test_it_refuses_contexts_that_do_not_help() -> None:
    with pytest.raises(InvalidInput, match="do not help"):
        retention(OWN, nothing=OWN, own=NOTHING)


def test_a_vector_that_points_at_its_own_passage_has_rank_zero() -> None:
    assert ranks(BASIS * 3, BASIS).tolist() == [0, 0, 0, 0]


def test_the_rank_counts_the_nearer_candidates() -> None:
    predicted = BASIS.copy()
    predicted[0] = [0.2, 0.9, 0.5, 0.1]
    assert ranks(predicted, BASIS).tolist() == [2, 0, 0, 0]


def test_a_tie_is_no_hit() -> None:
    """A map that sends everything to one place must not be credited with finding it."""
    assert ranks(np.ones((4, 4)), BASIS).tolist() == [3, 3, 3, 3]
    assert ranks(np.zeros((4, 4)), BASIS).tolist() == [3, 3, 3, 3]


def test_shares_are_over_passages_and_intervals_over_documents() -> None:
    aligned = np.array([0] * 10 + [9] * 10)
    figures = retrieval(aligned, np.full(20, 9), documents=np.repeat([0, 1], 10))
    assert figures.top1.value == figures.top5.value == 0.5
    assert (figures.top1.low, figures.top1.high) == (0.0, 1.0)  # two documents: all or nothing
    assert (figures.random_w_top1.value, figures.candidates, figures.chance) == (0.0, 20, 0.05)


def test_top_5_counts_the_first_five() -> None:
    figures = retrieval(np.array([0, 4, 5, 6]), np.full(4, 3), documents=np.arange(4))
    assert (figures.top1.value, figures.top5.value) == (0.25, 0.5)


def test_the_same_ranks_give_the_same_interval() -> None:
    found = np.arange(30) % 3
    first, second = (retrieval(found, found, documents=np.arange(30) // 3) for _ in range(2))
    assert first == second


def test_the_mean_reciprocal_rank_of_hits_is_one() -> None:
    assert mean_reciprocal_rank(np.zeros(5)) == 1.0
    assert mean_reciprocal_rank(np.array([0, 1])) == pytest.approx(0.75)
