"""How the events of certification change a version's row; `projectors` calls it, and nobody else."""

from datetime import datetime
from typing import Any

import msgspec

from latentmas.protocol.quality import Quality
from marketplace.listings.events.certification import (
    CertificateRevoked,
    VersionCertified,
    VersionMeasured,
    VersionRecertified,
    VersionRefused,
)
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.models import BASIS_RANK, ListingVersion

NO_CERTIFICATE = dict.fromkeys(("tier", "grade", "scope", "certified_at", "certified_until"))


def figures(quality: Quality, report: StoredFile | None) -> dict[str, Any]:
    """Return the columns of the figures that stand."""
    return {
        "basis": quality.basis.value,
        "basis_rank": BASIS_RANK[quality.basis],
        "epsilon": quality.epsilon,
        "quality": msgspec.to_builtins(quality),
        "report_digest": None if report is None else report.digest,
        "report_size": None if report is None else report.size,
    }


def certify(row: ListingVersion, event: object, *, at: datetime) -> None:
    """Change the row by one event of certification, recorded `at`."""
    match event:
        case VersionMeasured() as measured:
            _measure(row, measured, at)
        case VersionCertified() as certified:
            row.tier, row.grade = certified.tier.value, certified.grade.value
            row.certified_at, row.certified_until = certified.issued_at, certified.expires_at
            row.scope = None if certified.scope is None else msgspec.to_builtins(certified.scope)
            row.refusal_code, row.refusal_reasons = None, []
        case VersionRefused() as refused:
            _set(row, NO_CERTIFICATE)
            row.refusal_code, row.refusal_reasons = refused.code, list(refused.reasons)
        case CertificateRevoked():  # whose reason `projectors` shows
            _set(row, NO_CERTIFICATE)
            row.revoked_at = at
        case VersionRecertified() as mine:
            verdict = {"validator": mine.validator, "agrees": mine.agrees, "at": msgspec.to_builtins(at)}
            others = [each for each in row.recertified if each["validator"] != mine.validator]
            row.recertified = [*others, verdict]


def _measure(row: ListingVersion, measured: VersionMeasured, at: datetime) -> None:
    if row.revoked_at is not None:
        row.revoked_at = row.revoked_reason = None
    row.measurement = {
        "instrument": msgspec.to_builtins(measured.instrument),
        "made_here": measured.made_here,
        "private": None if measured.private is None else msgspec.to_builtins(measured.private),
    }
    row.measured_at, row.recertified = at, []
    row.source_weights, row.target_weights = measured.source_weights, measured.target_weights
    row.declared_gap = None if row.declared is None else gap(msgspec.convert(row.declared, Quality), measured.quality)
    _set(row, figures(measured.quality, measured.report))


def gap(declared: Quality, measured: Quality) -> float | None:
    """Return how much more is declared than was measured, where it lies outside the measured interval; else None."""
    kept, said = measured.kept, declared.kept.value
    low, high = (min(1.0, max(0.0, end)) for end in (kept.low, kept.high))  # as epsilon is clamped
    return None if low <= said <= high else said - kept.value


def _set(row: ListingVersion, columns: dict[str, Any]) -> None:
    for name, value in columns.items():
        setattr(row, name, value)
