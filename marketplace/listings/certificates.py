"""The certification status of a version at a given time, and the reasons for a refusal."""

from datetime import datetime
from typing import Literal

import msgspec

from latentmas.protocol.certification import refusals
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.quality import Quality
from marketplace.listings.errors import NotCertified
from marketplace.listings.models import ListingVersion

Status = Literal["certified", "expired", "refused", "pending"]


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
