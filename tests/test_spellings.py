import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.spellings import snake_case, snake_keys


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("sourceModel", "source_model"),
        ("source_model", "source_model"),
        ("minCertification", "min_certification"),
        ("checksumSHA256", "checksum_sha256"),
        ("top1Agreement", "top1_agreement"),
    ],
)
def test_camel_case_becomes_snake_case(name, snake):
    assert snake_case(name) == snake


@given(st.from_regex(r"[a-z]+(_[a-z0-9]+)*", fullmatch=True))
def test_snake_case_stays_as_it_is(name):
    assert snake_case(name) == name


def test_older_names_are_replaced():
    assert snake_keys({"Source": 1, "x": 2}, aliases={"source": "source_model"}) == {"source_model": 1, "x": 2}
