"""A memory's price: P = P_base * (1 + alpha*tokens + beta*tier + gamma*quality + delta*uniqueness). Pure.

Decimal arithmetic throughout. Each factor lies on [0, 1] and is rounded to six places before it is used, so that
anybody can compute the price again from what its breakdown shows; the price is rounded once, half a minor unit up.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.factors import EXACT, Term, factor, log_factor, term
from marketplace.pricing.configuration import Configuration

# Of a registry model's price tier; a model without one adds nothing.
TIER_FACTORS = {"compact": 0.0, "standard": 0.5, "large": 1.0}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the seller asks, in minor units: the base of the formula, and where the price must not or may go."""

    base: int
    floor: int | None = None
    discount: int = 0  # per cent


@dataclass(frozen=True, slots=True)
class PriceFactors:
    """What a memory's price depends on (specification 7.4.2), each on [0, 1]; docs/pricing.md defines them.

    `tokens` is the count itself: the formula brings it onto [0, 1].
    """

    tokens: int
    tier: float  # the source model's price tier: `TIER_FACTORS`
    quality: float | None  # measured retention; None: nobody has measured it, which adds nothing to the price
    uniqueness: float


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A price with how it came about; amounts in minor units."""

    base: int
    terms: tuple[Term, ...]
    before_discount: Decimal
    discount: int  # per cent, as it counts
    floor: int | None  # as it counts
    price: int


def price_of(asked: Asked, factors: PriceFactors, configuration: Configuration) -> Breakdown:
    """Return the price. A floor and a discount count up to the configuration's bounds. Raises InvalidInput."""
    terms = (
        term("tokens", configuration.tokens_weight, log_factor("tokens", factors.tokens, configuration.token_ceiling)),
        term("tier", configuration.tier_weight, factor("tier", factors.tier)),
        term("quality", configuration.quality_weight, factor("quality", factors.quality or 0.0)),
        term("uniqueness", configuration.uniqueness_weight, factor("uniqueness", factors.uniqueness)),
    )
    if asked.base < 0:
        raise InvalidInput(f"a base price of {asked.base} minor units is below zero", field="price")
    sum_of_terms = Decimal(1)
    for each in terms:
        sum_of_terms = EXACT.add(sum_of_terms, each.adds)
    full = EXACT.multiply(Decimal(asked.base), sum_of_terms)
    discount = max(0, min(asked.discount, configuration.discount_percent))
    reduced = EXACT.divide(EXACT.multiply(full, Decimal(100 - discount)), Decimal(100))
    price = int(reduced.quantize(Decimal(1), rounding=ROUND_HALF_UP, context=EXACT))
    floor = asked.floor
    if floor is not None:
        floor = max(0, min(floor, asked.base * configuration.floor_percent // 100))
        price = max(price, floor)
    return Breakdown(asked.base, terms, full, discount, floor, price)
