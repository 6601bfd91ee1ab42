"""The transform code: symbols come back bit for bit, the error stays within its bound, targets are met or refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvcache.coding import rate, transform, transform_decoding
from kvcache.coding.coordinates import Coordinates, columns, coordinates, segments
from kvcache.coding.encoded import Encoded
from kvcache.coding.profile import OpenedProfile
from kvcache.kernels import coefficient_classes as classes
from kvcache.kernels.tiles import TILE
from kvcache.kernels.transform import DEAD_ZONE
from kvcache.streaming.chunks import part
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.profiles import (
    FULL,
    LATENT,
    SLIDING,
    UNROTATED,
    Shape,
    basis_of,
    codec_profile,
    decoded,
    drawn,
    rows_of,
)

LENGTHS = [1, 2, 255, 256, 257, 600, TILE + 1]
GEOMETRIES = {"full": FULL, "sliding": SLIDING, "latent": LATENT, "unrotated": UNROTATED}
CROPPED = {"starts": (3, 0, 3, 0)}  # what the windows of SLIDING leave of ten tokens
FLOAT32 = 2e-4  # of a step, or of a coefficient: what sums of float32 cost
STEP = 8


@pytest.fixture(scope="module")
def profile(folder: Path) -> OpenedProfile:
    return codec_profile(folder, Shape(quietest=-56))


@pytest.fixture(scope="module")
def known(folder: Path) -> OpenedProfile:
    return codec_profile(folder, Shape(importance=0.05, recency=2.0, rank=0.6, parts=2))


def assert_same_sections(again: Encoded, before: Encoded) -> None:
    assert again.parameters == before.parameters
    assert set(again.sections) == set(before.sections)
    for name, section in before.sections.items():
        np.testing.assert_array_equal(again.sections[name], section, err_msg=name)


def assert_within_bound(found: Coordinates, restored: KVSnapshot, *, step: int) -> None:
    """Each coded coefficient is off by less than the dead zone allows, each other one is zero."""
    rows = rows_of(restored)
    for each in found.parts:
        group, sizes = each.group, classes.token_steps(step, found.exponents[each.tokens])
        held = rows[np.ix_(each.tokens, columns(found.frame.geometry, group.layers))]
        back = ((held - group.mean) * group.weight) @ basis_of(group)
        for token, size in enumerate(sizes):
            coded = classes.class_numbers(group.levels, int(size)) >= 0
            error = np.abs(back[token] - each.coefficients[token]) / classes.step_size(int(size))
            slack = FLOAT32 * (1 + np.abs(each.coefficients[token]).max() / classes.step_size(int(size)))
            assert error[coded].max(initial=0) <= DEAD_ZONE + slack
            assert np.abs(back[token, ~coded]).max(initial=0) <= slack * classes.step_size(int(size))


@pytest.mark.parametrize("tokens", LENGTHS)
def test_what_was_decoded_codes_to_the_same_bits(tokens: int, profile: OpenedProfile) -> None:
    cache = drawn(profile, tokens)
    encoded = transform.encode(cache, profile=profile, step=STEP)
    again = decoded(encoded, cache, profile)
    assert_same_sections(transform.encode(again, profile=profile, step=STEP), encoded)


@pytest.mark.parametrize("tokens", LENGTHS)
def test_the_error_stays_within_the_dead_zone(tokens: int, sensitive: OpenedProfile) -> None:
    cache = drawn(sensitive, tokens)
    found = coordinates(cache, profile=sensitive)
    assert tokens < 3 or len(set(found.exponents.tolist())) > 1
    restored = decoded(transform.encode_coordinates(found, step=STEP), cache, sensitive)
    assert_within_bound(found, restored, step=STEP)


def test_columns_that_few_tokens_reach_are_multiplied_for_those_alone(
    sensitive: OpenedProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = drawn(sensitive, 300)
    found = coordinates(cache, profile=sensitive)
    encoded = transform.encode_coordinates(found, step=24)
    at_once = decoded(encoded, cache, sensitive)
    monkeypatch.setattr(transform_decoding, "COLUMNS", 16)
    apart = decoded(encoded, cache, sensitive)
    assert_within_bound(found, apart, step=24)
    np.testing.assert_allclose(apart.keys, at_once.keys, atol=1e-3)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_geometry_is_coded_in_one_group_or_several(name: str, parts: int, folder: Path) -> None:
    known = codec_profile(folder, Shape(geometry=GEOMETRIES[name], parts=parts))
    assert len([group for group in known.groups if group.scope == "all"]) == parts
    cache = drawn(known, 40)
    found = coordinates(cache, profile=known)
    encoded = transform.encode_coordinates(found, step=0)
    restored = decoded(encoded, cache, known)
    assert restored.values.shape[-1] == GEOMETRIES[name].value_width
    assert_within_bound(found, restored, step=0)
    assert_same_sections(transform.encode(restored, profile=known, step=0), encoded)


@pytest.mark.parametrize("parts", [1, 2])
def test_tokens_that_a_window_has_left_are_coded_in_the_full_layers_alone(parts: int, folder: Path) -> None:
    known = codec_profile(folder, Shape(geometry=SLIDING, parts=parts))
    cache = drawn(known, 10, **CROPPED)
    assert not cache.keys[0, :3].any()
    found = coordinates(cache, profile=known)
    assert [each.group.scope for each in found.parts] == ["full-attention"] * parts + ["all"] * parts
    encoded = transform.encode_coordinates(found, step=-8)
    restored = decoded(encoded, cache, known)
    assert not restored.keys[[0, 2], :3].any()
    assert not restored.values[[0, 2], :3].any()
    assert_within_bound(found, restored, step=-8)
    assert_same_sections(transform.encode(restored, profile=known, step=-8), encoded)


@pytest.mark.parametrize("starts", [(3, 0, 5, 0), (0, 3, 0, 3), (3, 3, 3, 3)])
def test_tokens_of_layers_that_no_group_has_are_refused(starts: tuple[int, ...], folder: Path) -> None:
    known = codec_profile(folder, Shape(geometry=SLIDING))
    whole = drawn(known, 10)
    cache = KVSnapshot(replace(whole.frame, starts=starts), whole.keys, whole.values)
    with pytest.raises(InvalidInput, match=r"are held by \d of 4 layers") as caught:
        transform.encode(cache, profile=known, step=0)
    assert caught.value.facts["field"] == "starts"
    for each in segments(cache.frame):
        assert each.first < each.last


@pytest.mark.parametrize("crop", [{}, CROPPED])
def test_the_profiles_bos_entry_costs_nothing(crop: dict[str, Any], folder: Path) -> None:
    known = codec_profile(folder, Shape(geometry=SLIDING))
    cache = drawn(known, 10, bos=True, **crop)
    encoded = transform.encode(cache, profile=known, step=0)
    assert encoded.parameters["sink"]
    assert "exact" not in encoded.sections
    restored = decoded(encoded, cache, known)
    np.testing.assert_allclose(rows_of(restored)[0], rows_of(cache)[0], atol=1e-4)
    assert_same_sections(transform.encode(restored, profile=known, step=0), encoded)


def test_a_bos_entry_anywhere_else_is_a_token_like_any_other(profile: OpenedProfile) -> None:
    cache = drawn(profile, 10, bos=True, first_position=5)
    assert not transform.encode(cache, profile=profile, step=0).parameters["sink"]


def test_a_cache_of_the_bos_entry_alone_has_an_empty_code(profile: OpenedProfile) -> None:
    cache = drawn(profile, 1, bos=True)
    found = coordinates(cache, profile=profile)
    encoded = transform.encode_coordinates(found, step=0)
    assert encoded.size < 10
    np.testing.assert_allclose(rows_of(decoded(encoded, cache, profile)), rows_of(cache), atol=1e-4)
    assert rate.distortion(found, step=0) == 0.0


@pytest.mark.parametrize("crop", [{}, CROPPED])
def test_tokens_unlike_all_others_are_stored_as_they_are(crop: dict[str, Any], folder: Path) -> None:
    known = codec_profile(folder, Shape(geometry=SLIDING, importance=0.05))
    cache = drawn(known, 10, loud=(0, 2, 7), **crop)
    found = coordinates(cache, profile=known)
    assert found.exact.tolist() == [0, 2, 7]
    encoded = transform.encode_coordinates(found, step=40)
    assert encoded.sections["exact_rows"].dtype == np.float16
    restored = decoded(encoded, cache, known)
    np.testing.assert_allclose(rows_of(restored)[[0, 2, 7]], rows_of(cache)[[0, 2, 7]], rtol=1e-3, atol=0.2)
    assert_within_bound(found, restored, step=40)


def test_numbers_beyond_float16_are_stored_at_float32(sensitive: OpenedProfile) -> None:
    for size in (1e6, 3e38):
        cache = drawn(sensitive, 20)
        values = cache.values.copy()
        values[:, 4] = size
        cache = KVSnapshot(cache.frame, cache.keys, values)
        found = coordinates(cache, profile=sensitive)
        encoded = transform.encode_coordinates(found, step=0)
        assert encoded.sections["exact_rows"].dtype == np.float32
        np.testing.assert_array_equal(decoded(encoded, cache, sensitive).values[:, 4], values[:, 4])
        assert np.isfinite(rate.distortion(found, step=0))


def test_an_outlier_does_not_make_the_error_of_other_tokens_look_small(sensitive: OpenedProfile) -> None:
    quiet, loud = (drawn(sensitive, 100, loud=tokens) for tokens in ((), (50,)))
    without, beside = (rate.distortion(coordinates(each, profile=sensitive), step=STEP) for each in (quiet, loud))
    assert beside == pytest.approx(without, rel=0.1)


@pytest.mark.parametrize("limit", [1, 3])
def test_values_beyond_the_frozen_limits_escape(limit: int, folder: Path) -> None:
    known = codec_profile(folder, Shape(limit=limit))
    cache = drawn(known, 60)
    found = coordinates(cache, profile=known)
    encoded = transform.encode_coordinates(found, step=STEP)
    assert np.abs(encoded.sections["escapes"]).min() > limit
    restored = decoded(encoded, cache, known)
    assert_within_bound(found, restored, step=STEP)
    assert_same_sections(transform.encode(restored, profile=known, step=STEP), encoded)


@pytest.mark.parametrize("step", [-16, -60, -160])
def test_low_bits_are_coded_apart_where_a_step_is_fine(step: int, profile: OpenedProfile) -> None:
    assert max(block.shift for block in classes.blocks(profile.groups[0].levels, step)) > 0
    cache = drawn(profile, 30)
    found = coordinates(cache, profile=profile)
    encoded = transform.encode_coordinates(found, step=step)
    assert_within_bound(found, decoded(encoded, cache, profile), step=step)


@pytest.mark.parametrize("step", [-400, 200])
def test_the_extreme_steps_can_be_decoded(step: int, sensitive: OpenedProfile) -> None:
    cache = drawn(sensitive, 30)
    assert np.isfinite(decoded(transform.encode(cache, profile=sensitive, step=step), cache, sensitive).keys).all()


def test_a_shrunk_value_lies_nearer_to_zero(folder: Path) -> None:
    known, shrunk = codec_profile(folder), codec_profile(folder, Shape(shrink=0.2))
    cache = drawn(known, 50)
    encoded = transform.encode(cache, profile=known, step=24)
    plain, nearer = (rows_of(decoded(encoded, cache, each)) for each in (known, shrunk))
    group = known.groups[0]
    sizes = [np.abs(((rows - group.mean) * group.weight) @ basis_of(group)) for rows in (plain, nearer)]
    step = classes.step_size(24)
    coded = sizes[0] > step / 2
    np.testing.assert_allclose((sizes[0] - sizes[1])[coded], 0.2 * step, rtol=1e-2)
    assert_same_sections(transform.encode(decoded(encoded, cache, shrunk), profile=shrunk, step=24), encoded)


@given(st.integers(1, 300), st.integers(-160, 96), st.integers(0, 10_000), st.booleans())
@settings(deadline=None, max_examples=25)
def test_any_cache_survives_at_any_step(known: OpenedProfile, tokens: int, step: int, seed: int, bos: bool) -> None:
    cache = drawn(known, tokens, bos=bos, loud=(tokens // 2,) if tokens > 4 else (), seed=seed)
    found = coordinates(cache, profile=known)
    assert_within_bound(found, decoded(transform.encode_coordinates(found, step=step), cache, known), step=step)


def test_the_end_of_a_stream_is_not_known(sensitive: OpenedProfile) -> None:
    cache = drawn(sensitive, 40)
    first, last = part(cache, 0, 20), part(cache, 20, 40)
    whole = coordinates(cache, profile=sensitive, recency=False)
    pieces = [coordinates(each, profile=sensitive, recency=False) for each in (first, last)]
    np.testing.assert_array_equal(np.concatenate([each.exponents for each in pieces]), whole.exponents)
    assert (coordinates(cache, profile=sensitive).exponents != whole.exponents).any()
    encoded = transform.encode_coordinates(pieces[1], step=STEP)
    assert_within_bound(pieces[1], decoded(encoded, last, sensitive), step=STEP)


def test_recent_tokens_are_coded_finer(folder: Path) -> None:
    known = codec_profile(folder, Shape(recency=3.0))
    exponents = coordinates(drawn(known, 300), profile=known).exponents
    assert exponents[-1] > exponents[0]
    assert (np.diff(exponents) >= 0).all()


def test_a_step_that_cannot_be_is_refused(profile: OpenedProfile) -> None:
    for step in (-401, 201):
        with pytest.raises(InvalidInput, match=f"step is {step}; it must lie between -400 and 200"):
            transform.encode(drawn(profile, 3), profile=profile, step=step)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "another"}, "is of the model 'small'"),
        ({"weights": None}, "is of the weights"),
        ({"geometry": KVGeometry(4, 1, 16, 8, (1e4,) * 4, (None,) * 4)}, "the codec profile is for KVGeometry"),
        ({"geometry": KVGeometry(4, 2, 16, 8, (1e4,) * 4, (None,) * 4)}, "the codec profile is for KVGeometry"),
    ],
)
def test_a_cache_of_something_else_is_not_decoded(changed: dict[str, Any], said: str, profile: OpenedProfile) -> None:
    cache = drawn(profile, 5)
    encoded = transform.encode(cache, profile=profile, step=0)
    with pytest.raises(InvalidInput, match=said):
        transform_decoding.decode(encoded, replace(cache.frame, **changed), profile=profile)
