"""Events of a version's certification, in the stream of its listing, `listing/<id>`.

A certificate rests on `listing.version_measured` alone, which only the certifier writes (`commands.measure_version`).
What a publisher says of a version, and what a validator finds, are events of their own and certify nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from latentmas.events.types import Payload, event, upcaster
from latentmas.protocol.certification import Grade, Scope, Tier
from latentmas.protocol.quality import Instrument, Interval, PrivateCells, Quality
from marketplace.listings.events.listing import StoredFile
from marketplace.texts.free_text import FreeText


@event("listing.version_measured")
@dataclass(frozen=True, slots=True)
class VersionMeasured:
    """The certifier has measured a version's file. The text is `quality.corpus`, the evaluation suite `quality.suite`.

    `quality.corpus` is what the control of the target's tokens alone was fitted on.
    """

    version: str
    file: str  # sha256:<hex> of the file that was measured
    source_weights: str  # sha256:<hex> of the weights that were run
    target_weights: str
    instrument: Instrument
    report: StoredFile  # an EvaluationReport as canonical JSON
    quality: Quality
    made_here: bool  # the certifier's own server fitted it, so nobody has tuned it to the public suite
    private: PrivateCells | None = None


@event("listing.version_certified", schema=2)
@dataclass(frozen=True, slots=True)
class VersionCertified:
    version: str
    tier: Tier
    grade: Grade
    epsilon: float
    issued_at: datetime
    expires_at: datetime
    scope: Scope | None = None  # where it holds; None where the figures are of no evaluation suite


@event("listing.version_refused")
@dataclass(frozen=True, slots=True)
class VersionRefused:
    version: str
    code: str
    reasons: tuple[str, ...]


@event("listing.certificate_revoked")
@dataclass(frozen=True, slots=True)
class CertificateRevoked:
    version: str
    reason: FreeText


@dataclass(frozen=True, slots=True)
class RecertifiedCell:
    """A public cell of the evaluation suite as a validator measured it."""

    register: str
    length: int  # tokens of context
    retention: Interval


@event("listing.version_recertified")
@dataclass(frozen=True, slots=True)
class VersionRecertified:
    """Somebody other than certifier and seller has measured the public cells; `agrees` compares with the certifier."""

    version: str
    validator: str  # an opaque name
    file: str
    suite: str  # sha256:<hex> of the evaluation suite
    instrument: Instrument
    cells: tuple[RecertifiedCell, ...]
    agrees: bool
    signature: str | None = None  # of the submission, by the validator's key


@upcaster("listing.version_certified", from_schema=1)
def _without_scope(payload: Payload) -> Payload:
    """No figure of the first schema is of an evaluation suite."""
    return {**payload, "scope": None}
