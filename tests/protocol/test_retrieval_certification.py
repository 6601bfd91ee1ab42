"""When a map of embeddings earns a certificate."""

from datetime import UTC, datetime

import pytest

from latentmas.protocol.certification import Tier, certify, refusals
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.quality import Basis, Interval, Quality, Retrieval

AT = datetime(2026, 3, 1, tzinfo=UTC)


def quality(top1: Interval, *, random_w: float = 0.01, candidates: int = 300) -> Quality:
    nothing = Interval(random_w, 0.0, random_w)
    return Quality(
        basis=Basis.FUNCTIONAL,
        epsilon=1 - top1.value,
        information_retention=0.3,
        cosine_similarity=0.8,
        euclidean_distance=0.7,
        computational_cost=1000,
        test_samples=candidates,
        documents=30,
        confidence=top1.low,
        retrieval=Retrieval(top1, top1, nothing, candidates, 1 / candidates),
    )


def test_it_is_certified_above_its_controls_by_its_top_1() -> None:
    assert certify(quality(Interval(0.5, 0.4, 0.6)), at=AT).tier is Tier.BRONZE
    assert certify(quality(Interval(0.93, 0.9, 0.96)), at=AT).tier is Tier.SILVER
    assert certify(quality(Interval(1.0, 1.0, 1.0)), at=AT).tier is Tier.PLATINUM


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        (
            quality(Interval(0.5, 0.4, 0.6), random_w=0.4),
            "top-1 may be as low as 0.400, while a random W reaches up to",
        ),
        (quality(Interval(0.3, 0.1, 0.5), candidates=8), "guessing among 8 candidates reaches 0.125"),
    ],
)
def test_it_is_refused_where_a_control_reaches_its_interval(figures: Quality, reason: str) -> None:
    with pytest.raises(QualityBelowThreshold, match=reason):
        certify(figures, at=AT)
    assert len(refusals(figures)) == 1
