"""A damaged transform code is refused, or decodes to numbers; it never ends in another error."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvcache.coding import transform
from kvcache.coding.encoded import Encoded
from kvcache.coding.profile import OpenedProfile
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.profiles import FULL, SLIDING, Shape, codec_profile, decoded, drawn

CROPPED = {"starts": (3, 0, 3, 0)}  # what the windows of SLIDING leave of ten tokens
STEP = 8
MISSING = object()
I32 = np.int32


@pytest.fixture(scope="module")
def damaged_profile(tmp_path_factory: pytest.TempPathFactory) -> OpenedProfile:
    folder: Path = tmp_path_factory.mktemp("profiles")
    return codec_profile(folder, Shape(geometry=SLIDING, limit=2, importance=0.05))


@pytest.fixture(scope="module")
def whole(damaged_profile: OpenedProfile) -> tuple[Encoded, KVSnapshot]:
    """A code with every section that there is."""
    cache = drawn(damaged_profile, 12, bos=True, loud=(4, 9), **CROPPED)
    encoded = transform.encode(cache, profile=damaged_profile, step=STEP)
    assert set(encoded.sections) == {"exponents", "code", "escapes", "exact", "exact_rows"}
    return encoded, cache


@pytest.mark.parametrize(
    ("section", "value", "said"),
    [
        ("exponents", MISSING, "must hold a byte for each of 12 tokens"),
        ("exponents", np.zeros(11, np.uint8), "must hold a byte for each of 12 tokens"),
        ("exponents", np.zeros(12, I32), "must hold a byte for each of 12 tokens"),
        ("exponents", np.full(12, 255, np.uint8), "goes past 16"),
        ("exponents", np.full(12, 24, np.uint8), ""),
        ("code", MISSING, "lacks its section 'code'"),
        ("code", np.zeros((2, 2), I32), "lacks its section 'code'"),
        ("code", np.zeros(4, np.uint8), "lacks its section 'code'"),
        ("code", np.zeros(1, I32), "cannot hold"),
        ("escapes", MISSING, "too short"),
        ("escapes", np.zeros(1, I32), "too short"),
        ("escapes", np.zeros(10_000, I32), "too long"),
        ("escapes", np.zeros(3, np.float32), "must be a list of int32"),
        ("exact", MISSING, "must name 2 tokens"),
        ("exact", np.array([4], I32), "must name 2 tokens"),
        ("exact", np.array([9, 4], I32), "ascending tokens below 12"),
        ("exact", np.array([4, 4], I32), "ascending tokens below 12"),
        ("exact", np.array([4, 12], I32), "ascending tokens below 12"),
        ("exact", np.array([-1, 4], I32), "ascending tokens below 12"),
        ("exact", np.array([-(1 << 31), (1 << 31) - 1], I32), "ascending tokens below 12"),
        ("exact", np.array([4, 9], np.int64), "must name 2 tokens"),
        ("exact_rows", MISSING, "a row for each exact token"),
        ("exact_rows", np.zeros((2, 7), np.float16), "a row for each exact token"),
        ("exact_rows", np.zeros((2, FULL.width), np.float64), "a row for each exact token"),
        ("strange", np.zeros(1, I32), "has no section 'strange'"),
    ],
)
def test_a_damaged_section_is_refused(
    section: str, value: Any, said: str, whole: tuple[Encoded, KVSnapshot], damaged_profile: OpenedProfile
) -> None:
    encoded, cache = whole
    sections = {name: array for name, array in encoded.sections.items() if name != section}
    if value is not MISSING:
        sections[section] = value
    with pytest.raises(InvalidInput, match=said or None):
        decoded(replace(encoded, sections=sections), cache, damaged_profile)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"step": 10_000}, "step is 10000"),
        ({"step": "8"}, "malformed"),
        ({"sink": 1}, "malformed"),
        ({"exact": 3}, "must name 3 tokens"),
        ({"exact": -2}, "must name -2 tokens"),
        ({"exact": 0}, "has no section 'exact' here"),
        ({"step": -400}, ""),
    ],
)
def test_wrong_parameters_are_refused(
    changed: dict[str, Any], said: str, whole: tuple[Encoded, KVSnapshot], damaged_profile: OpenedProfile
) -> None:
    encoded, cache = whole
    with pytest.raises(InvalidInput, match=said or None):
        decoded(replace(encoded, parameters=encoded.parameters | changed), cache, damaged_profile)
    with pytest.raises(InvalidInput, match="malformed"):
        decoded(replace(encoded, parameters={}), cache, damaged_profile)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_any_damage_is_refused_or_decodes_to_numbers(
    whole: tuple[Encoded, KVSnapshot], damaged_profile: OpenedProfile, data: st.DataObject
) -> None:
    encoded, cache = whole
    sections = {name: array.copy() for name, array in encoded.sections.items()}
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(set(sections) - {"exact_rows"})))
        raw = sections[name].view(np.uint8)
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    name = data.draw(st.sampled_from(["code", "escapes", "exponents"]))
    sections[name] = sections[name][: data.draw(st.integers(1, len(sections[name])))]
    parameters = encoded.parameters | {"step": data.draw(st.sampled_from([STEP, 0, 60, 200]))}
    try:
        restored = decoded(Encoded(encoded.coding, parameters, sections), cache, damaged_profile)
    except InvalidInput:
        return
    assert np.isfinite(restored.keys).all()
