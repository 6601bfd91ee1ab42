from dataclasses import replace

import numpy as np
import pytest

from latentmas.protocol.cropping import crop
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot
from tests.protocol.test_snapshot import snapshot


def test_a_cropped_memory_is_that_of_its_first_tokens() -> None:
    given = snapshot(8, context="sha256:" + "a" * 64)
    part = crop(given, 5)
    assert (part.frame.tokens, part.frame.next_position, part.frame.context) == (5, 5, None)
    np.testing.assert_array_equal(part.keys, given.keys[:, :5])
    np.testing.assert_array_equal(part.values, given.values[:, :5])


def test_dropped_tokens_still_count_as_read() -> None:
    given = snapshot(8).select(np.array([0, 3, 6]))
    part = crop(given, 5)
    assert (list(part.frame.positions), part.frame.next_position) == ([0, 3], 5)


def test_the_whole_memory_stays_as_it_is() -> None:
    given = snapshot(8)
    assert crop(given, 8) is given


@pytest.mark.parametrize("end", [0, -1, 9])
def test_a_place_outside_the_context_is_refused(end: int) -> None:
    with pytest.raises(InvalidInput):
        crop(snapshot(8), end)


def test_a_memory_without_any_of_those_tokens_is_refused() -> None:
    with pytest.raises(InvalidInput, match="none of the first 2"):
        crop(snapshot(8).select(np.array([3, 4])), 2)


def test_a_window_that_has_moved_on_is_refused() -> None:
    given = snapshot(8)
    moved = KVSnapshot(replace(given.frame, starts=(0, 5)), given.keys, given.values)
    with pytest.raises(InvalidInput, match="layer 1 has a sliding window"):
        crop(moved, 6)
    assert crop(moved, 7).frame.starts == (0, 5)  # a window of 3: the token at 7 sees itself, 6 and 5
