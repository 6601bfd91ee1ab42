import numpy as np
import pytest

from factory.measurement.retention import retention
from latentmas.protocol.errors import InvalidInput

NOTHING = np.array([4.0, 5.0, 3.0, 6.0])
OWN = np.array([3.0, 3.0, 2.5, 4.0])


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
