"""An agent's credit score, 300 to 850, from its record alone. Pure; docs/reputation.md defines every factor.

Each factor lies on [0, 1] and is rounded before it is used, so that anybody can compute the score again from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from latentmas.protocol.factors import EXACT, Term, log_factor, rounded, term
from marketplace.reputation.configuration import GRADES, CreditConfiguration

LOWEST, HIGHEST = 300, 850
MILLION = 1_000_000
WORST, BEST = 1, 5  # ratings
COARSE = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Record:
    """What the log says of an agent. `quality` is the sum, in millionths, of the measured versions' lower ends."""

    created: int = 0
    measured: int = 0
    quality: int = 0
    sold: int = 0
    reviews: int = 0
    ratings: int = 0  # their sum
    revenue: Mapping[str, int] = field(default_factory=dict)  # minor units by currency

    @property
    def is_empty(self) -> bool:
        earned = any(amount > 0 for amount in self.revenue.values())
        return not (self.created or self.measured or self.sold or self.reviews or earned)

    @property
    def mean_quality(self) -> Decimal | None:
        return rounded(EXACT.divide(Decimal(self.quality), Decimal(MILLION * self.measured))) if self.measured else None

    @property
    def mean_rating(self) -> Decimal | None:
        return rounded(EXACT.divide(Decimal(self.ratings), Decimal(self.reviews))) if self.reviews else None


@dataclass(frozen=True, slots=True)
class Credit:
    """A score with its grade and how it comes about."""

    score: int
    grade: str
    terms: tuple[Term, ...]


def credit_of(record: Record, configuration: CreditConfiguration) -> Credit | None:
    """Return the score of a record; None where there is nothing on record."""
    if record.is_empty:
        return None
    terms = (
        term("quality", configuration.quality_weight, record.mean_quality or rounded(Decimal(0))),
        term(
            "created",
            configuration.created_weight,
            log_factor("created", record.created, configuration.created_ceiling),
        ),
        term("sold", configuration.sold_weight, log_factor("sold", record.sold, configuration.sold_ceiling)),
        term("revenue", configuration.revenue_weight, revenue_factor(record.revenue, configuration.revenue_ceiling)),
        term("reviews", configuration.reviews_weight, reviews_factor(record, configuration)),
    )
    total = sum((each.adds for each in terms), Decimal(0))
    above = EXACT.multiply(Decimal(HIGHEST - LOWEST), total)
    score = LOWEST + int(above.quantize(Decimal(1), rounding=ROUND_HALF_UP, context=EXACT))
    return Credit(score, grade_of(score, configuration), terms)


def grade_of(score: int, configuration: CreditConfiguration) -> str:
    """Return the best grade that begins at the score or below."""
    begins = (configuration.grade_s, configuration.grade_a, configuration.grade_b, configuration.grade_c, LOWEST)
    return next(grade for grade, begin in zip(GRADES, begins, strict=True) if score >= begin)


def revenue_factor(revenue: Mapping[str, int], ceiling: int) -> Decimal:
    """Return the highest factor of any one currency, rounded down to hundredths.

    No currency is converted, as no rate is on record. Coarse, because everybody sees it: it says of what order an
    agent's revenue is, and no more.
    """
    factors = [log_factor("revenue", max(0, amount), ceiling) for amount in revenue.values()]
    return rounded(max(factors, default=Decimal(0)).quantize(COARSE, rounding=ROUND_DOWN, context=EXACT))


def reviews_factor(record: Record, configuration: CreditConfiguration) -> Decimal:
    """Return where the mean rating lies between worst and best, shrunk towards the prior; without reviews the prior."""
    prior = EXACT.divide(Decimal(configuration.prior_reviews * configuration.prior_rating), Decimal(100))
    count = Decimal(configuration.prior_reviews + record.reviews)
    mean = EXACT.divide(EXACT.add(prior, Decimal(record.ratings)), count)
    return rounded(EXACT.divide(EXACT.subtract(mean, Decimal(WORST)), Decimal(BEST - WORST)))
