"""The figures that credit scores depend on, one set for each version of the configuration. Pure."""

from dataclasses import dataclass

from latentmas.protocol.errors import InvalidInput

GRADES = ("S", "A", "B", "C", "D")  # the best first


@dataclass(frozen=True, slots=True)
class CreditConfiguration:
    """Weights, ceilings of the logarithmic counts, the reviews' prior, and where each grade begins."""

    quality_weight: int = 35  # per cent, as the others; together 100
    created_weight: int = 15
    sold_weight: int = 20
    revenue_weight: int = 15
    reviews_weight: int = 15
    created_ceiling: int = 100  # so many items or more have the factor 1
    sold_ceiling: int = 10_000  # sales
    revenue_ceiling: int = 10_000_000  # minor units of any currency: none is converted
    prior_reviews: int = 10  # so many reviews of the prior rating are added to an agent's own
    prior_rating: int = 300  # hundredths of a point
    grade_s: int = 780  # the lowest score of the grade
    grade_a: int = 700
    grade_b: int = 600
    grade_c: int = 450


BOUNDS = {
    "quality_weight": (0, 100),
    "created_weight": (0, 100),
    "sold_weight": (0, 100),
    "revenue_weight": (0, 100),
    "reviews_weight": (0, 100),
    "created_ceiling": (1, 10**9),
    "sold_ceiling": (1, 10**9),
    "revenue_ceiling": (1, 10**15),
    "prior_reviews": (1, 10_000),
    "prior_rating": (100, 500),
    "grade_s": (300, 850),
    "grade_a": (300, 850),
    "grade_b": (300, 850),
    "grade_c": (300, 850),
}
WEIGHTS = ("quality_weight", "created_weight", "sold_weight", "revenue_weight", "reviews_weight")


def check_together(configuration: CreditConfiguration) -> None:
    """Let weights pass that make 100, and grades that descend. Raises InvalidInput."""
    total = sum(getattr(configuration, name) for name in WEIGHTS)
    if total != 100:
        raise InvalidInput(f"the weights make {total} per cent; together they must make 100", field=WEIGHTS[0])
    begins = [configuration.grade_s, configuration.grade_a, configuration.grade_b, configuration.grade_c]
    if begins != sorted(set(begins), reverse=True):
        raise InvalidInput(
            f"the grades S, A, B and C begin at {begins}; each must begin below the one before", field="grade_s"
        )
