"""The decisions about a version's measurements and its certificate. Pure.

A certificate rests on what the certifier has measured, on nothing that a publisher says.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from latentmas.protocol.certification import certify, refusals
from latentmas.protocol.errors import Conflict, InvalidInput, QualityBelowThreshold
from latentmas.protocol.quality import MEASURED, SuiteFigures
from marketplace.listings.aggregate import CertificationDecision, ListingState, VersionState
from marketplace.listings.errors import VersionYankedError
from marketplace.listings.events.certification import (
    CertificateRevoked,
    RecertifiedCell,
    VersionCertified,
    VersionMeasured,
    VersionRecertified,
    VersionRefused,
)
from marketplace.listings.validation import check_digest, check_quality
from marketplace.texts.checks import check_reason

RENEWAL = timedelta(days=30)  # before its end a certificate is expiring, and may be renewed
OLDER = (
    "its figures are older than the record of measurements and certify nothing new; the certifier has to measure it "
    "again"
)
PRIVATE_MISSING = "it was not measured on the certifier's private texts"
PRIVATE_FAILED = "on texts that its seller could not know it does not keep what it keeps on the public suite"


def decide_measure(state: ListingState, measured: VersionMeasured) -> Sequence[object]:
    """Record what the certifier has measured; the same again gives no event.

    Raises NotFound, VersionYankedError, or InvalidInput where it is not of the version's file and weights.
    """
    current = state.version(measured.version)
    published = current.published
    due = {"file": published.file.digest, "source_weights": published.source_weights}
    due |= {"target_weights": published.target_weights}
    for name, wanted in due.items():
        check_digest(came := getattr(measured, name), name)
        if wanted not in (None, came):
            raise InvalidInput(
                f"the measurement is of {name} {came}; version {measured.version} has {wanted}",
                field=name,
                came=came,
                expected=wanted,
            )
    if measured.quality.basis not in MEASURED:
        raise InvalidInput(
            f"the basis of a measurement is {' or '.join(sorted(MEASURED))}, not {measured.quality.basis}",
            field="quality.basis",
        )
    if measured.quality.corpus is None:
        raise InvalidInput("a measurement names its text", field="quality.corpus")
    check_quality(measured.quality)
    if current.yanked:
        raise VersionYankedError(f"version {measured.version} is yanked and is not measured any more")
    return () if current.measured == measured and current.revoked is None else (measured,)


def decide_certify(state: ListingState, version: str, *, at: datetime) -> Sequence[object]:
    """Certify the version or record why not; nothing while the last decision stands.

    A certificate stands until RENEWAL before its end, or to the end where it cannot be renewed, unless the version has
    been measured anew. Raises NotFound, Conflict where the certificate is revoked and nothing was measured since, or
    VersionYankedError where a yanked version would need a new decision.
    """
    current = state.version(version)
    unchanged, renewable = current.judged == current.measured, current.measured is not None
    if current.revoked is not None:
        raise Conflict(
            f"the certificate of version {version} was revoked",
            resolution="Have the version measured again.",
        )
    match current.decision:
        case VersionCertified(expires_at=end) if unchanged and (end - RENEWAL > at or (not renewable and end > at)):
            return ()
    outcome = _judge(current, at=at)
    if unchanged and outcome == current.decision:
        return ()
    if current.yanked:
        raise VersionYankedError(f"version {version} is yanked and takes no new decision about a certificate")
    return (outcome,)


def decide_refuse(state: ListingState, refused: VersionRefused) -> Sequence[object]:
    """Record that the certifier found a file unfit to be measured; the same again gives no event.

    Raises NotFound or VersionYankedError.
    """
    current = state.version(refused.version)
    if current.yanked:
        raise VersionYankedError(f"version {refused.version} is yanked and takes no new decision about a certificate")
    return () if current.decision == refused else (refused,)


def decide_revoke(state: ListingState, version: str, *, reason: str) -> Sequence[object]:
    """Void the version's certificate, once. Raises NotFound, InvalidInput, or Conflict where there is none to void."""
    current = state.version(version)
    if current.revoked is not None:
        raise Conflict(f"the certificate of version {version} is revoked already")
    if not isinstance(current.decision, VersionCertified):
        raise Conflict(f"version {version} carries no certificate")
    return (CertificateRevoked(version=version, reason=check_reason(reason)),)


def decide_recertify(state: ListingState, submitted: VersionRecertified) -> Sequence[object]:
    """Record a validator's figures and whether they agree; the same again gives no event.

    Raises NotFound, Conflict where there is nothing to compare with, or InvalidInput for the seller's own figures,
    another file or suite, and other cells than were measured.
    """
    current = state.version(submitted.version)
    assert state.created is not None  # it has a version
    measured = current.measured
    if measured is None or (suite := measured.quality.suite) is None:
        raise Conflict(
            f"version {submitted.version} has no figures of an evaluation suite to compare with",
            resolution="Recertify a version whose manifest names a suite.",
        )
    if submitted.validator == state.created.seller:
        raise InvalidInput("the seller of a version is not its validator", field="validator")
    for name, came, due in (("file", submitted.file, measured.file), ("suite", submitted.suite, suite.digest)):
        if came != due:
            raise InvalidInput(f"{name} is {came}; the certifier measured {due}", field=name, came=came, expected=due)
    recorded = replace(submitted, agrees=agree(suite, submitted.cells))
    return () if recorded in current.recertified else (recorded,)


def agree(suite: SuiteFigures, cells: Sequence[RecertifiedCell]) -> bool:
    """Return whether every figure lies in the interval that was measured. Raises InvalidInput for other cells."""
    known = {(cell.register, cell.length): cell.aligned for cell in suite.cells if cell.aligned is not None}
    theirs = {(cell.register, cell.length): cell.retention for cell in cells}
    if len(theirs) < len(cells) or set(theirs) != set(known):
        raise InvalidInput(
            f"the figures are of {_cells(theirs)}; those that were measured are {_cells(known)}, each once",
            field="cells",
        )
    return all(known[place].low <= figure.value <= known[place].high for place, figure in theirs.items())


def _judge(current: VersionState, *, at: datetime) -> CertificationDecision:
    version, measured = current.published.version, current.measured
    if measured is None:
        first = current.published.measured_first
        return _refused(version, (OLDER,) if first else refusals(current.published.quality))
    if reasons := (*refusals(measured.quality), *_unproven(measured)):
        return _refused(version, reasons)
    certificate = certify(measured.quality, at=at)
    return VersionCertified(
        version=version,
        tier=certificate.tier,
        grade=certificate.grade,
        epsilon=certificate.epsilon,
        issued_at=certificate.issued_at,
        expires_at=certificate.expires_at,
        scope=certificate.scope,
    )


def _unproven(measured: VersionMeasured) -> tuple[str, ...]:
    """Return what the certifier's private texts say against a file that others have made."""
    if measured.made_here:
        return ()
    if measured.private is None:
        return (PRIVATE_MISSING,)
    return () if measured.private.passed else (PRIVATE_FAILED,)


def _refused(version: str, reasons: Sequence[str]) -> VersionRefused:
    return VersionRefused(version=version, code=QualityBelowThreshold.code, reasons=tuple(reasons))


def _cells(places: Collection[tuple[str, int]]) -> str:
    return ", ".join(f"{register} at {length}" for register, length in sorted(places)) or "no cell"
