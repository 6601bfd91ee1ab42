"""Which table codes a coefficient is a matter of whole numbers, the same in numpy and in the kernel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvcache.kernels import coefficient_classes as classes
from kvcache.kernels import transform

falling_levels = st.lists(st.integers(-1200, 1200), min_size=1, max_size=60).map(
    lambda levels: np.array(sorted(levels, reverse=True), np.int16)
)
any_step = st.integers(-464, 264)


@given(falling_levels, any_step)
@settings(deadline=None)
def test_blocks_are_the_coded_columns_cut_where_the_class_changes(levels: np.ndarray, step: int) -> None:
    numbers = classes.class_numbers(levels, step)
    found = list(classes.blocks(levels, step))
    assert [column for block in found for column in range(block.first, block.last)] == list(range((numbers >= 0).sum()))
    for block in found:
        assert set(numbers[block.first : block.last]) == {block.number}
        assert block.shift == classes.shift_of(block.number)
    assert len({block.number for block in found}) == len(found)


@given(falling_levels, any_step)
@settings(deadline=None)
def test_a_class_is_a_quarter_of_an_octave_of_spread_in_steps(levels: np.ndarray, step: int) -> None:
    octaves = (levels.astype(float) - step) / classes.UNITS
    numbers = classes.class_numbers(levels, step)
    for octave, number in zip(octaves, numbers, strict=True):
        if number < classes.CLASSES - 1:
            assert -1.5 + number / 4 <= octave < -1.5 + (number + 1) / 4
        else:
            assert octave >= 9.75


def test_the_bits_coded_apart_leave_a_spread_of_at_most_32_steps() -> None:
    shifts = [classes.shift_of(number) for number in range(classes.CLASSES)]
    assert shifts == sorted(shifts)
    assert shifts[0] == 0
    highest = 2 ** ((classes.LOWEST + classes.CLASS_UNITS * (np.arange(classes.CLASSES) + 1)) / classes.UNITS)
    assert ((highest / 2.0 ** np.array(shifts))[np.array(shifts) > 0] <= 32).all()
    assert (highest[np.array(shifts) == 0] <= 16).all()


def test_an_exponent_of_four_makes_a_tokens_step_half_as_large() -> None:
    steps = classes.token_steps(10, np.array([0, 4, -8]))
    assert steps.dtype == np.int32
    sizes = [classes.step_size(int(step)) for step in steps]
    assert sizes[1] == pytest.approx(sizes[0] / 2)
    assert sizes[2] == pytest.approx(sizes[0] * 4)


@given(falling_levels, any_step)
@settings(deadline=None, max_examples=40)
def test_the_kernel_finds_the_same_class(levels: np.ndarray, step: int) -> None:
    padded = np.pad(levels, (0, 60 - len(levels)), mode="edge")[None]  # one compiled shape
    shrink = np.stack([np.arange(classes.CLASSES) / 1024] * 2, axis=1).astype(np.float32)
    ones = np.ones(padded.shape, np.int32)
    found = transform.dequantise(ones, np.array([step], np.int32), padded[0].astype(np.int32), shrink)
    numbers = (1 - np.asarray(found)[0] / classes.step_size(step)) * 1024
    expected = np.maximum(classes.class_numbers(padded[0], step), 0)
    np.testing.assert_allclose(numbers, expected, atol=0.01)
