"""Factors on [0, 1], in decimals of 34 digits: the same on every machine, so that anybody can compute them again."""

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from latentmas.protocol.errors import InvalidInput

PLACES = Decimal("0.000001")
EXACT = Context(prec=34)  # of every computation
PERCENT = Decimal(100)


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a weighted sum: `adds` is weight times factor."""

    name: str
    weight: Decimal
    factor: Decimal

    @property
    def adds(self) -> Decimal:
        return EXACT.multiply(self.weight, self.factor)


def term(name: str, percent: int, value: Decimal) -> Term:
    """Return a summand whose weight is given in per cent."""
    return Term(name, EXACT.divide(Decimal(percent), PERCENT), value)


def factor(name: str, value: float) -> Decimal:
    """Return a number on [0, 1] with six places, half to even. Raises InvalidInput for one outside."""
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise InvalidInput(f"the factor {name} is {value}; it must lie on [0, 1]", field=name)
    return rounded(Decimal(repr(float(value))))


def log_factor(name: str, count: int, ceiling: int) -> Decimal:
    """Return ln(1 + count) / ln(1 + ceiling), at most 1. Raises InvalidInput for fewer than nothing."""
    if count < 0:
        raise InvalidInput(f"{count} {name} are fewer than none", field=name)
    if count >= ceiling:
        return rounded(Decimal(1))
    return rounded(EXACT.divide(EXACT.ln(Decimal(1 + count)), EXACT.ln(Decimal(1 + ceiling))))


def rounded(value: Decimal) -> Decimal:
    """Return a number with six places, half to even."""
    return value.quantize(PLACES, rounding=ROUND_HALF_EVEN, context=EXACT)
