"""The price of a memory: the formula of the specification in decimal arithmetic, with its breakdown."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.factors import log_factor
from marketplace.pricing.configuration import Configuration
from marketplace.pricing.formula import Asked, PriceFactors, price_of

USUAL = Configuration()
NOTHING, ALL = PriceFactors(0, 0.0, 0.0, 0.0), PriceFactors(131_072, 1.0, 1.0, 1.0)
unit = st.floats(0, 1)
factors = st.builds(PriceFactors, st.integers(0, 10**7), unit, unit | st.none(), unit)


@pytest.mark.parametrize(
    ("given", "price"),
    [
        (NOTHING, 1000),
        (ALL, 2000),  # the weights add up to one
        (PriceFactors(131_072, 0.0, None, 0.0), 1300),
        (PriceFactors(0, 1.0, None, 0.0), 1250),
        (PriceFactors(0, 0.0, 1.0, 0.0), 1250),
        (PriceFactors(0, 0.0, None, 1.0), 1200),
        (PriceFactors(1000, 0.5, 0.92, 0.5), 1631),  # 1 + .3 * .586307 + .125 + .23 + .1 = 1.6308921
    ],
)
def test_the_price_is_what_the_formula_says(given: PriceFactors, price: int) -> None:
    assert price_of(Asked(1000), given, USUAL).price == price


def test_a_quality_that_nobody_has_measured_adds_nothing() -> None:
    unmeasured = price_of(Asked(1000), PriceFactors(10, 0.5, None, 0.5), USUAL)
    assert unmeasured.price == price_of(Asked(1000), PriceFactors(10, 0.5, 0.0, 0.5), USUAL).price


def test_half_a_minor_unit_is_rounded_up_once() -> None:
    assert price_of(Asked(2), PriceFactors(0, 1.0, 0.0, 0.0), USUAL).price == 3  # 2.5
    assert price_of(Asked(1), PriceFactors(0, 1.0, 0.0, 0.0), USUAL).price == 1  # 1.25


@given(st.integers(0, 10**9), factors, st.integers(0, 100), st.integers(0, 10**9) | st.none())
def test_the_price_can_be_computed_again_from_its_breakdown(
    base: int, given: PriceFactors, discount: int, floor: int | None
) -> None:
    shown = price_of(Asked(base, floor, discount), given, USUAL)
    full = Decimal(shown.base) * (1 + sum(term.weight * term.factor for term in shown.terms))
    assert full == shown.before_discount
    assert all(0 <= term.factor <= 1 for term in shown.terms)
    reduced = full * (100 - shown.discount) / 100
    assert abs(max(reduced, Decimal(shown.floor or 0)) - shown.price) <= Decimal("0.5")
    assert shown.price >= (shown.floor or 0)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(1, 10**7))
def test_more_tokens_never_cost_less(one: int, other: int, ceiling: int) -> None:
    few, many = sorted((one, other))
    assert 0 <= log_factor("tokens", few, ceiling) <= log_factor("tokens", many, ceiling) <= 1


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -0.01, 1.01])
@pytest.mark.parametrize("name", ["tier", "quality", "uniqueness"])
def test_a_factor_off_the_unit_interval_is_refused(name: str, wrong: float) -> None:
    values = {"tokens": 1, "tier": 0.5, "quality": 0.5, "uniqueness": 0.5} | {name: wrong}
    with pytest.raises(InvalidInput) as refused:
        price_of(Asked(1000), PriceFactors(**values), USUAL)  # type: ignore[arg-type]
    assert refused.value.facts["field"] == name


def test_fewer_than_no_tokens_and_a_negative_base_are_refused() -> None:
    with pytest.raises(InvalidInput):
        price_of(Asked(1000), PriceFactors(-1, 0, 0, 0), USUAL)
    with pytest.raises(InvalidInput):
        price_of(Asked(-1), NOTHING, USUAL)


def test_floor_and_discount_count_up_to_their_bounds() -> None:
    assert price_of(Asked(1000, discount=50), ALL, USUAL).price == 1000
    assert price_of(Asked(1000, discount=90), ALL, USUAL).price == 1000
    assert price_of(Asked(1000, floor=1900, discount=50), ALL, USUAL).price == 1900
    assert price_of(Asked(1000, floor=9000), NOTHING, USUAL).price == 2000
