"""Certification tiers, quality grades and the rule by which a certificate is refused (specification 2.2 and 3.3)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.quality import MEASURED, Basis, Quality, Retention, Retrieval


class Tier(StrEnum):
    PLATINUM = "platinum"
    GOLD = "gold"
    SILVER = "silver"
    BRONZE = "bronze"


class Grade(StrEnum):
    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


TIER_CEILINGS = ((Tier.PLATINUM, 0.01), (Tier.GOLD, 0.05), (Tier.SILVER, 0.10))
GRADE_CEILINGS = ((Grade.EXCELLENT, 0.02), (Grade.GOOD, 0.05), (Grade.FAIR, 0.10))
RANK = {Tier.BRONZE: 0, Tier.SILVER: 1, Tier.GOLD: 2, Tier.PLATINUM: 3}
TIER_DESCRIPTIONS = {
    Tier.PLATINUM: "Exceptional alignment: at most 1 % loss",
    Tier.GOLD: "Excellent alignment: at most 5 % loss",
    Tier.SILVER: "Good alignment: at most 10 % loss",
    Tier.BRONZE: "Acceptable alignment: above 10 % loss, yet better than its controls",
}


@dataclass(frozen=True, slots=True)
class Certification:
    tier: Tier
    grade: Grade
    epsilon: float
    issued_at: datetime
    expires_at: datetime


def tier_for(epsilon: float) -> Tier:
    """Return the tier of an alignment loss; whether a certificate may be issued at all is decided by `refusals`."""
    return next((tier for tier, ceiling in TIER_CEILINGS if epsilon <= ceiling), Tier.BRONZE)


def grade_for(epsilon: float) -> Grade:
    return next((grade for grade, ceiling in GRADE_CEILINGS if epsilon <= ceiling), Grade.POOR)


def certify(quality: Quality, *, at: datetime) -> Certification:
    """Return the certificate a measurement earns, valid for one year. Raises QualityBelowThreshold with the reasons."""
    if reasons := refusals(quality):
        raise QualityBelowThreshold("; ".join(reasons), reasons=list(reasons))
    return Certification(
        tier=tier_for(quality.epsilon),
        grade=grade_for(quality.epsilon),
        epsilon=quality.epsilon,
        issued_at=at,
        expires_at=_a_year_after(at),
    )


def refusals(quality: Quality) -> tuple[str, ...]:
    """Return why the transfer contract forbids a certificate, in sentences; empty where one may be issued."""
    if quality.basis not in MEASURED:
        return (f"figures on the basis {quality.basis.value!r} are never certified; only measured ones are",)
    if quality.basis is Basis.ACTIVATION:
        return ("the target model was not run, so the memory was never compared with its controls",)
    if quality.retrieval is not None:
        return tuple(_below_controls(quality.retrieval))
    if quality.retention is None:
        return ("the retention is missing",)
    return tuple(_below_bars(quality.retention))


def _below_bars(retention: Retention) -> list[str]:
    floor = retention.aligned.low
    bars = (
        ("the wrong document's memory reaches up to", retention.wrong_document.high),
        ("a random W reaches up to", retention.random_w.high),
        ("the last eighth of the context as text reaches", retention.text_eighth.value),
    )
    return [f"retention may be as low as {floor:.3f}, while {what} {bar:.3f}" for what, bar in bars if not floor > bar]


def _below_controls(retrieval: Retrieval) -> list[str]:
    floor = retrieval.top1.low
    bars = (
        ("a random W reaches up to", retrieval.random_w_top1.high),
        (f"guessing among {retrieval.candidates} candidates reaches", retrieval.chance),
    )
    return [f"top-1 may be as low as {floor:.3f}, while {what} {bar:.3f}" for what, bar in bars if not floor > bar]


def _a_year_after(moment: datetime) -> datetime:
    try:
        return moment.replace(year=moment.year + 1)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year + 1, day=28)
