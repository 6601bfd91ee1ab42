import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.rest.parameters import camel_case, camel_keys, snake_case, snake_keys


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


@given(st.from_regex(r"[a-z]+(_[a-z]{2,})*", fullmatch=True))
def test_camel_case_is_undone_by_snake_case(name):
    assert snake_case(camel_case(name)) == name


def test_every_object_in_an_answer_gets_camel_case_keys():
    given = {"kept_tokens": [{"top_one": 1}], "metrics": {"token_savings": {"a_b": None}}, "plain": "some_text"}
    expected = {"keptTokens": [{"topOne": 1}], "metrics": {"tokenSavings": {"aB": None}}, "plain": "some_text"}
    assert camel_keys(given) == expected
