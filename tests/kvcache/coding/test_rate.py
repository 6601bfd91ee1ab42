"""The step of a code: what a number of bytes or a bound on the KL asks for is met, or refused."""

from pathlib import Path

import numpy as np
import pytest

from kvcache.coding import rate, transform
from kvcache.coding.coordinates import coordinates
from kvcache.coding.profile import OpenedProfile
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.profiles import Shape, codec_profile, decoded, drawn, rows_of

STEP = 8


@pytest.mark.parametrize("size", [1500, 4000, 12_000, 40_000, 90_000])
def test_a_number_of_bytes_is_met_by_the_real_code(size: int, sensitive: OpenedProfile) -> None:
    found = coordinates(drawn(sensitive, 600, bos=True, loud=(77,)), profile=sensitive)
    step = rate.step_for_bytes(found, size=size)
    assert transform.encode_coordinates(found, step=step).size <= 1.01 * size
    finer = transform.encode_coordinates(found, step=step - 1).size
    assert finer > 0.99 * size


def test_escapes_are_part_of_the_bytes(folder: Path) -> None:
    known = codec_profile(folder, Shape(limit=2))
    found = coordinates(drawn(known, 300), profile=known)
    step = rate.step_for_bytes(found, size=40_000)
    encoded = transform.encode_coordinates(found, step=step)
    assert len(encoded.sections["escapes"]) > 100
    assert encoded.size <= 1.01 * 40_000
    assert transform.encode_coordinates(found, step=step - 1).size > 0.99 * 40_000


def test_fewer_bytes_than_the_coarsest_code_takes_are_refused(sensitive: OpenedProfile) -> None:
    found = coordinates(drawn(sensitive, 600), profile=sensitive)
    with pytest.raises(QualityBelowThreshold, match=r"the coarsest code of this snapshot takes \d+ bytes; 500 were"):
        rate.step_for_bytes(found, size=500)


def test_a_tighter_bound_takes_a_finer_step_and_every_bound_is_held(sensitive: OpenedProfile) -> None:
    found = coordinates(drawn(sensitive, 200), profile=sensitive)
    least = rate.expected_kl(found, step=rate.FINEST)
    bounds = [1.001 * least * 2**octave for octave in range(6)]
    chosen = [rate.step_for_kl(found, kl=kl) for kl in bounds]
    assert chosen == sorted(chosen)
    assert chosen[0] < chosen[-1]
    for step, kl in zip(chosen, bounds, strict=True):
        assert rate.expected_kl(found, step=step) <= kl
        assert step == rate.COARSEST or rate.expected_kl(found, step=step + 1) > kl


def test_the_distortion_is_the_weighted_error_of_the_decoded_rows(sensitive: OpenedProfile) -> None:
    cache = drawn(sensitive, 80)
    found = coordinates(cache, profile=sensitive)
    restored = decoded(transform.encode_coordinates(found, step=STEP), cache, sensitive)
    error = (rows_of(cache) - rows_of(restored)) * sensitive.groups[0].weight
    weight = np.exp(found.sensitivity)
    expected = (weight * np.square(error).sum(1)).sum() / weight.sum()
    assert rate.distortion(found, step=STEP) == pytest.approx(expected, rel=1e-3)


def test_what_lies_outside_the_basis_counts_against_a_bound(sensitive: OpenedProfile) -> None:
    cache = drawn(sensitive, 50)
    strange = KVSnapshot(
        cache.frame, cache.keys, cache.values + np.random.default_rng(0).normal(size=cache.values.shape).astype("f4")
    )
    known, shifted = (rate.expected_kl(coordinates(each, profile=sensitive), step=-100) for each in (cache, strange))
    assert shifted > 10 * known
    with pytest.raises(QualityBelowThreshold, match="the lowest KL that this codec profile is expected to hold"):
        rate.step_for_kl(coordinates(strange, profile=sensitive), kl=known)


def test_a_bound_that_cannot_be_known_is_refused(folder: Path) -> None:
    known = codec_profile(folder, Shape(kl_per_distortion=None))
    found = coordinates(drawn(known, 20), profile=known)
    assert rate.expected_kl(found, step=0) is None
    with pytest.raises(QualityBelowThreshold, match="never measured on its model"):
        rate.step_for_kl(found, kl=0.01)
