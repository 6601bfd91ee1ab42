"""Frozen tables say how often symbols of each class occur."""

from pathlib import Path

import numpy as np
import pytest

from factory.codec.tables import DEFAULT_SHRINK, TOTAL, WIDEST, Tables, freeze
from kvcache.coding.coordinates import Coordinates, coordinates
from kvcache.coding.profile import OpenedProfile
from kvcache.kernels import coefficient_classes as classes
from tests.kvcache.profiles import Shape, codec_profile, drawn

STEPS = (0, 24)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> OpenedProfile:
    return codec_profile(tmp_path_factory.mktemp("profiles"))


@pytest.fixture(scope="module")
def samples(profile: OpenedProfile) -> list[Coordinates]:
    return [coordinates(drawn(profile, 700, bos=True, seed=seed), profile=profile) for seed in range(2)]


@pytest.fixture(scope="module")
def tables(samples: list[Coordinates]) -> Tables:
    return freeze(samples, steps=STEPS)


def met(profile: OpenedProfile) -> set[int]:
    return {block.number for step in STEPS for block in classes.blocks(profile.groups[0].levels, step)}


def test_every_class_has_a_table_that_can_code_anything(tables: Tables) -> None:
    assert tables.limits.dtype == tables.frequencies.dtype == np.int32
    assert (tables.limits >= 1).all()
    assert tables.limits.max() <= WIDEST
    for limit, row in zip(tables.limits, tables.frequencies, strict=True):
        assert (row[: 2 * limit + 2] >= 1).all()
        assert not row[2 * limit + 2 :].any()
        assert row.sum() == pytest.approx(TOTAL, rel=0.01)


def test_a_wider_spread_has_a_flatter_table(tables: Tables, profile: OpenedProfile) -> None:
    numbers = sorted(met(profile))
    zeros = [tables.frequencies[number, tables.limits[number]] / TOTAL for number in numbers]
    assert zeros[0] > 0.8
    assert zeros[-1] < 0.1
    np.testing.assert_array_less(np.diff(zeros), 0.02)


def test_frequencies_are_those_of_a_normal_spread(tables: Tables, profile: OpenedProfile) -> None:
    from math import erf, sqrt

    for number in sorted(met(profile)):
        spread = 2 ** ((classes.LOWEST + classes.CLASS_UNITS * (number + 0.5)) / classes.UNITS)
        if classes.shift_of(number) == 0:
            zero = erf(0.6 / spread / sqrt(2))
            assert tables.frequencies[number, tables.limits[number]] / TOTAL == pytest.approx(zero, abs=0.05)


def test_values_shrink_towards_zero_where_large_ones_are_rare(tables: Tables, profile: OpenedProfile) -> None:
    numbers = sorted(met(profile))
    narrow, wide = tables.shrink[numbers[3], 0], tables.shrink[numbers[-1], 0]
    # A magnitude of 1 stands for 0.6 to 1.6: far below its middle where the spread is narrow.
    assert narrow > wide
    assert wide == pytest.approx(-0.1, abs=0.05)
    assert (np.abs(tables.shrink) <= 0.6).all()


def test_classes_that_never_occurred_have_defaults(tables: Tables, profile: OpenedProfile) -> None:
    never = sorted(set(range(classes.CLASSES)) - met(profile))
    assert never
    assert (tables.limits[never] == 1).all()
    np.testing.assert_allclose(tables.shrink[never], DEFAULT_SHRINK)


def test_counted_tables_code_shorter_than_others(
    tables: Tables, samples: list[Coordinates], profile: OpenedProfile, tmp_path: Path
) -> None:
    from dataclasses import replace

    from kvcache.coding import transform

    flat = replace(profile, frequencies=np.ones_like(tables.frequencies), limits=tables.limits)
    counted = replace(profile, frequencies=tables.frequencies, limits=tables.limits)
    sizes = [transform.encode_coordinates(replace(samples[0], profile=each), step=24).size for each in (flat, counted)]
    assert sizes[1] < 0.7 * sizes[0]


def test_rare_magnitudes_have_no_symbol_of_their_own(tmp_path: Path) -> None:
    known = codec_profile(tmp_path, Shape(quietest=64))
    wide = freeze([coordinates(drawn(known, 300), profile=known)], steps=[64])
    number = classes.class_numbers(known.groups[0].levels, 64)[0]
    assert 3 <= wide.limits[number] <= 6  # the spread is one step
