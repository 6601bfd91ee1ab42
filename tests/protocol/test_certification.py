from datetime import UTC, datetime

import pytest

from latentmas.protocol.certification import Grade, Tier, certify, grade_for, tier_for
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.quality import Basis, Interval, Quality, Retention

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def quality(low: float = 0.7, *, basis: Basis = Basis.FUNCTIONAL, wrong: float = 0.1, eighth: float = 0.5) -> Quality:
    """Test data, not a measurement."""
    nothing = Interval(0.0, -0.1, wrong)
    return Quality(
        basis=basis,
        epsilon=0.2,
        information_retention=0.8,
        cosine_similarity=0.9,
        euclidean_distance=0.5,
        computational_cost=1,
        test_samples=100,
        documents=10,
        confidence=low,
        retention=Retention(
            aligned=Interval(0.8, low, 0.9),
            wrong_document=nothing,
            random_w=nothing,
            text_half=Interval(0.9, 0.8, 1.0),
            text_quarter=Interval(0.7, 0.6, 0.8),
            text_eighth=Interval(eighth, eighth - 0.1, eighth + 0.1),
        ),
    )


@pytest.mark.parametrize(
    ("epsilon", "tier"),
    [
        (0.0, Tier.PLATINUM),
        (0.01, Tier.PLATINUM),
        (0.0101, Tier.GOLD),
        (0.05, Tier.GOLD),
        (0.0501, Tier.SILVER),
        (0.10, Tier.SILVER),
        (0.1001, Tier.BRONZE),
    ],
)
def test_tiers_end_where_the_specification_says(epsilon: float, tier: Tier) -> None:
    assert tier_for(epsilon) is tier


@pytest.mark.parametrize(
    ("epsilon", "grade"),
    [(0.02, Grade.EXCELLENT), (0.0201, Grade.GOOD), (0.05, Grade.GOOD), (0.10, Grade.FAIR), (0.1001, Grade.POOR)],
)
def test_grades_end_where_the_specification_says(epsilon: float, grade: Grade) -> None:
    assert grade_for(epsilon) is grade


def test_a_certificate_is_valid_for_one_year() -> None:
    certificate = certify(quality(), at=NOW)
    assert (certificate.tier, certificate.grade) == (Tier.BRONZE, Grade.POOR)
    assert certificate.expires_at == datetime(2027, 3, 1, tzinfo=UTC)


def test_a_certificate_of_the_leap_day_ends_on_the_28th() -> None:
    assert certify(quality(), at=datetime(2028, 2, 29, tzinfo=UTC)).expires_at == datetime(2029, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (quality(0.7, wrong=0.7), "wrong document"),
        (quality(0.5, eighth=0.5), "last eighth"),
        (quality(-0.2), "random W"),
        (quality(basis=Basis.SIMULATED), "never certified"),
        (quality(basis=Basis.DECLARED), "never certified"),
        (quality(basis=Basis.ACTIVATION), "not run"),
    ],
)
def test_a_certificate_is_refused_with_the_reason(bad: Quality, reason: str) -> None:
    with pytest.raises(QualityBelowThreshold, match=reason) as refusal:
        certify(bad, at=NOW)
    assert refusal.value.facts["reasons"]
