"""The certificate of a version at a given time: its status, its scope, and the reasons for a refusal."""

from datetime import datetime
from typing import Literal

import msgspec

from latentmas.protocol.certification import Certification, Grade, Scope, Tier, refusals
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.quality import Basis, Quality, TokenMode
from marketplace.listings.certificates.decisions import RENEWAL
from marketplace.listings.errors import CertificateRevokedError, NotCertified
from marketplace.listings.models import Listing, ListingVersion

Status = Literal["certified", "expiring", "expired", "refused", "revoked", "pending"]
MODES = {
    TokenMode.TOKENS_KNOWN: "the target's tokens known",
    TokenMode.READ_IN_PLACE: "where the target reads an eighth of its tokens itself, in place",
    TokenMode.SOURCE_TOKENS: "the target's tokens not known",
}


def status_of(row: ListingVersion, *, at: datetime) -> Status:
    """Return the status at a time: valid ones are certified, or expiring where they may be renewed.

    Figures that can never be certified count as refused without a recorded decision.
    """
    if row.certified_until is not None:
        if row.certified_until <= at:
            return "expired"
        return "expiring" if row.certified_until - RENEWAL <= at else "certified"
    if row.revoked_at is not None:
        return "revoked"
    return "refused" if reasons_of(row) else "pending"


def reasons_of(row: ListingVersion) -> list[str]:
    """Return why the version carries no certificate, in sentences; none where it does or where one is still due.

    What its seller declares is no reason: the certifier has yet to measure it.
    """
    if row.tier is not None or (row.basis == Basis.DECLARED and row.measured_at is None and not row.refusal_reasons):
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


def validators_of(row: ListingVersion) -> list[str]:
    """Return who has measured the version independently and found the certifier's figures."""
    return [each["validator"] for each in row.recertified if each["agrees"]]


def require_certificate(row: ListingVersion, *, at: datetime) -> None:
    """Raise unless the version is certified: QualityBelowThreshold (refused), CertificateRevokedError, NotCertified."""
    match status_of(row, at=at):
        case "refused":
            reasons = reasons_of(row)
            raise QualityBelowThreshold(
                "; ".join(reasons), reasons=reasons, basis=row.basis, certification=None, version=row.version
            )
        case "revoked":
            raise CertificateRevokedError(
                f"the certificate was revoked on {row.revoked_at:%Y-%m-%d}: {row.revoked_reason}", basis=row.basis
            )
        case "expired":
            raise NotCertified(f"the certificate expired on {row.certified_until:%Y-%m-%d}", basis=row.basis)
        case "pending":
            raise NotCertified("the version awaits its certification", basis=row.basis)
