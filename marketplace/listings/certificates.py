"""The certificate of a version at a given time: its status, its scope, and the reasons for a refusal."""

from datetime import datetime
from typing import Literal

import msgspec

from latentmas.protocol.certification import Certification, Grade, Scope, Tier, refusals
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.quality import Quality, TokenMode
from marketplace.listings.errors import NotCertified
from marketplace.listings.models import Listing, ListingVersion

Status = Literal["certified", "expired", "refused", "pending"]
MODES = {
    TokenMode.TOKENS_KNOWN: "the target's tokens known",
    TokenMode.READ_IN_PLACE: "where the target reads an eighth of its tokens itself, in place",
    TokenMode.SOURCE_TOKENS: "the target's tokens not known",
}


def status_of(row: ListingVersion, *, at: datetime) -> Status:
    """Return the status at a time. Figures that can never be certified count as refused without a recorded decision."""
    if row.tier is not None:
        return "certified" if row.tier_at(at) else "expired"
    return "refused" if reasons_of(row) else "pending"


def reasons_of(row: ListingVersion) -> list[str]:
    """Return why the version carries no certificate, in sentences; none where it does or where one is still due."""
    if row.tier is not None:
        return []
    return list(row.refusal_reasons) or list(refusals(quality_of(row)))


def quality_of(row: ListingVersion) -> Quality:
    return msgspec.convert(row.quality, Quality)


def scope_of_row(row: Listing | ListingVersion) -> Scope | None:
    """Return where the row's certificate holds; None without one, or for figures of no evaluation suite."""
    return None if row.scope is None else msgspec.convert(row.scope, Scope)


def certificate_of(row: ListingVersion) -> Certification | None:
    """Return the certificate on record, expired or not."""
    if row.tier is None or row.grade is None or row.certified_at is None or row.certified_until is None:
        return None
    scope = scope_of_row(row)
    return Certification(
        tier=Tier(row.tier),
        grade=Grade(row.grade),
        epsilon=row.epsilon if scope is None else scope.epsilon,
        issued_at=row.certified_at,
        expires_at=row.certified_until,
        scope=scope,
    )


def scope_sentence(scope: Scope) -> str:
    """Return where a certificate holds, and for which register least, as a sentence."""
    worst = scope.worst
    but = f" but, for lack of texts, {', '.join(scope.unmeasured)}" if scope.unmeasured else ""
    return (
        f"Certified for contexts of up to {scope.longest} tokens in any register of {scope.suite}{but}, "
        f"{MODES[TokenMode(scope.mode)]}; worst: {worst.register} at {worst.length} tokens, "
        f"at least {worst.low:.3f}."
    )


def require_certificate(row: ListingVersion, *, at: datetime) -> None:
    """Raise QualityBelowThreshold (refused) or NotCertified (expired, pending) unless the version is certified."""
    match status_of(row, at=at):
        case "refused":
            reasons = reasons_of(row)
            raise QualityBelowThreshold(
                "; ".join(reasons), reasons=reasons, basis=row.basis, certification=None, version=row.version
            )
        case "expired":
            raise NotCertified(f"the certificate expired on {row.certified_until:%Y-%m-%d}", basis=row.basis)
        case "pending":
            raise NotCertified("the version awaits its certification", basis=row.basis)
