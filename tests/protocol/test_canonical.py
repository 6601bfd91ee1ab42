"""Canonical JSON: one byte string for one value, and back."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, StrEnum

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.protocol.canonical import canonical, plain
from latentmas.protocol.errors import InvalidInput

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_every_value_comes_back_from_both_parsers(value: object) -> None:
    assert json.loads(canonical(value)) == value
    assert msgspec.json.decode(canonical(value)) == value


@given(VALUES)
def test_encoding_what_was_decoded_gives_the_same_bytes(value: object) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(st.dictionaries(TEXT, st.integers(), min_size=2, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, int], random) -> None:  # type: ignore[no-untyped-def]
    items = list(value.items())
    random.shuffle(items)
    assert canonical(dict(items)) == canonical(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_as_its_shortest_decimal(number: float) -> None:
    text = plain(number)
    assert isinstance(text, str)
    assert float(text) == number
    assert json.loads(canonical(plain({"x": [number]}))) == {"x": [text]}


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])))
def test_a_moment_survives_in_utc(moment: datetime) -> None:
    try:
        moment.astimezone(UTC)
    except OverflowError:  # the first hours of year 1
        return
    text = plain(moment)
    assert isinstance(text, str)
    assert text.endswith("+00:00")
    assert datetime.fromisoformat(text) == moment


def test_the_bytes_are_compact_sorted_utf8() -> None:
    assert canonical({"b": [1, True, None], "a": "ü\n", "aa": {}}) == '{"a":"ü\\n","aa":{},"b":[1,true,null]}'.encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_plain_refuses_what_is_not_a_finite_number(number: float) -> None:
    with pytest.raises(InvalidInput):
        plain({"x": number})


def test_plain_refuses_a_moment_without_a_time_zone() -> None:
    with pytest.raises(InvalidInput, match="no time zone"):
        plain(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (1.5, r"float at \$ "),
        ({"a": [0, 1.5]}, r"\$\.a\[1\]"),
        (b"bytes", "bytes at"),
        ({1: "x"}, "key 1"),
        (["a\x00"], r"\$\[0\] holds a NUL"),
        ({"\x00": 1}, "NUL"),
        ("\ud800", "not valid Unicode"),
        ({1, 2}, "set at"),
    ],
)
def test_what_has_no_canonical_form_is_refused_and_its_place_named(value: object, where: str) -> None:
    with pytest.raises(InvalidInput, match=where):
        canonical(value)


class Shade(StrEnum):
    DARK = "dark"


class Size(Enum):
    TEN = 10


@dataclass(frozen=True)
class Paint:
    shade: Shade
    size: Size
    parts: tuple[float, ...]


def test_plain_reaches_into_dataclasses_and_enums() -> None:
    assert plain(Paint(Shade.DARK, Size.TEN, (0.5, 1.0))) == {"shade": "dark", "size": 10, "parts": ["0.5", "1.0"]}
    assert type(plain(Shade.DARK)) is str
