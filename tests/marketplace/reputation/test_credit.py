"""The credit score: 300 to 850 from a record, every factor on [0, 1], and nothing without a record."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.reputation.configuration import CreditConfiguration
from marketplace.reputation.credit import Record, credit_of, grade_of, revenue_factor, reviews_factor

USUAL = CreditConfiguration()
BEST = Record(
    created=100, measured=3, quality=3_000_000, sold=10_000, reviews=10**9, ratings=5 * 10**9, revenue={"USD": 10**7}
)
counts = st.integers(0, 10**7)
records = st.builds(
    lambda created, measured, share, sold, reviews, stars, revenue: Record(
        created, measured, int(measured * share * 1_000_000), sold, reviews, int(reviews * stars), revenue
    ),
    counts,
    st.integers(0, 1000),
    st.floats(0, 1),
    counts,
    counts,
    st.floats(1, 5),
    st.dictionaries(st.sampled_from(["USD", "EUR", "JPY"]), st.integers(-(10**9), 10**12)),
)


def test_an_agent_without_any_record_has_no_score() -> None:
    assert credit_of(Record(), USUAL) is None
    assert credit_of(Record(revenue={"USD": 0, "EUR": -5}), USUAL) is None


def test_the_best_record_has_the_highest_score() -> None:
    best = credit_of(BEST, USUAL)
    assert best is not None
    assert (best.score, best.grade) == (850, "S")
    assert [(each.name, each.factor) for each in best.terms] == [
        ("quality", Decimal(1)),
        ("created", Decimal(1)),
        ("sold", Decimal(1)),
        ("revenue", Decimal(1)),
        ("reviews", Decimal(1)),
    ]


def test_a_score_as_the_document_computes_it() -> None:
    record = Record(
        created=4, measured=2, quality=1_700_000, sold=25, reviews=10, ratings=47, revenue={"USD": 42_000, "EUR": 900}
    )
    credit = credit_of(record, USUAL)
    assert credit is not None
    assert [str(each.factor) for each in credit.terms] == ["0.850000", "0.348732", "0.353739", "0.660000", "0.712500"]
    assert (credit.score, credit.grade) == (645, "B")


@given(records)
def test_every_score_can_be_computed_again_from_its_terms(record: Record) -> None:
    credit = credit_of(record, USUAL)
    if credit is None:
        return
    assert all(0 <= each.factor <= 1 for each in credit.terms)
    assert sum(each.weight for each in credit.terms) == 1
    assert 300 <= credit.score <= 850
    assert abs(300 + 550 * sum(each.weight * each.factor for each in credit.terms) - credit.score) <= Decimal("0.5")


@given(records, st.sampled_from(["created", "sold"]), st.integers(1, 10**6))
def test_more_of_what_counts_never_lowers_a_score(record: Record, name: str, more: int) -> None:
    before = credit_of(record, USUAL)
    after = credit_of(replace(record, **{name: getattr(record, name) + more}), USUAL)
    assert after is not None
    assert before is None or before.score <= after.score


def test_one_review_of_five_is_worth_less_than_a_hundred_of_four_point_eight() -> None:
    one, hundred = Record(reviews=1, ratings=5), Record(reviews=100, ratings=480)
    assert (str(reviews_factor(one, USUAL)), str(reviews_factor(hundred, USUAL))) == ("0.545455", "0.909091")


def test_a_bad_review_is_worse_than_none() -> None:
    assert reviews_factor(Record(reviews=1, ratings=1), USUAL) < reviews_factor(Record(), USUAL) == Decimal("0.5")


def test_no_currency_is_converted_and_only_the_order_of_revenue_is_told() -> None:
    assert str(revenue_factor({"USD": 42_000, "EUR": 900, "GBP": -3}, 10_000_000)) == "0.660000"
    assert revenue_factor({"USD": 42_000}, 10**7) == revenue_factor({"USD": 45_000}, 10**7)
    assert revenue_factor({}, 10**7) == 0


@pytest.mark.parametrize(
    ("score", "grade"),
    [(850, "S"), (780, "S"), (779, "A"), (700, "A"), (699, "B"), (600, "B"), (599, "C"), (450, "C"), (449, "D")],
)
def test_the_bounds_of_the_grades(score: int, grade: str) -> None:
    assert grade_of(score, USUAL) == grade
