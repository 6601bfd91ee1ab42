"""Screen a version before it is offered: is it somebody else's, how much is new, and what should not be in its texts?

1. Read the file. One that cannot be read is refused, and nothing else is looked at.
2. Look for secrets and personal data in the texts.
3. Enter its fingerprint and look for similar ones, one screening at a time.
4. Record what was found. A duplicate or any finding refuses the version; otherwise it is on offer.
"""

from dataclasses import dataclass

from django.db.models import Q

from latentmas.events.transactions import transact
from latentmas.events.types import Metadata
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, ModelNotSupported, NotFound, TooLarge
from latentmas.protocol.quality import Interval
from marketplace.artefacts.commands import record_screening
from marketplace.artefacts.models import Artefact, ArtefactVersion, Screening
from marketplace.screening import index
from marketplace.screening.contents import snapshots_of, texts_of
from marketplace.screening.fingerprints import Fingerprint, fingerprint_of
from marketplace.screening.texts import findings_in

UNREADABLE = (InvalidInput, DimensionMismatch, ModelNotSupported, TooLarge)
DIGITS = 2  # of a uniqueness: its standard error is about .04
MOST_CHARACTERS = 250  # of an error's sentence in a finding


@dataclass(frozen=True, slots=True)
class Found:
    """What a screening found. `uniqueness` is None where there is nothing to compare by."""

    uniqueness: float | None
    duplicate_of: str | None = None  # <artefact>/<version>
    findings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.findings and self.duplicate_of is None


def screen(artefact_id: str, *, version: str, metadata: Metadata) -> Found:
    """Screen a version, record what was found and return it. Raises NotFound."""
    artefact, row = rows_of(artefact_id, version)
    found = _screened(artefact, row)
    record(row, found, retention=_measured(row), metadata=metadata)
    return found


def record(row: ArtefactVersion, found: Found, *, retention: Interval | None, metadata: Metadata) -> None:
    """Record what a screening found; the same again records nothing."""
    record_screening(
        row.artefact_id,
        version=row.version,
        uniqueness=found.uniqueness,
        duplicate_of=found.duplicate_of,
        findings=found.findings,
        retention=retention,
        metadata=metadata,
    )


def record_retention(artefact_id: str, *, version: str, retention: Interval, metadata: Metadata) -> None:
    """Add a measured retention to what the last screening of a version found. Raises NotFound."""
    _, row = rows_of(artefact_id, version)
    last = Found(row.uniqueness, row.duplicate_of, tuple(row.findings))
    record(row, last, retention=retention, metadata=metadata)


def rows_of(artefact_id: str, version: str) -> tuple[Artefact, ArtefactVersion]:
    """Return an artefact and one of its versions. Raises NotFound."""
    artefact = Artefact.objects.filter(id=artefact_id).first()
    row = ArtefactVersion.objects.filter(id=f"{artefact_id}/{version}").first()
    if artefact is None or row is None:
        raise NotFound(f"there is no version {version} of the artefact {artefact_id}")
    return artefact, row


def _screened(artefact: Artefact, row: ArtefactVersion) -> Found:
    try:
        findings = findings_in(texts_of(artefact, row))
        fingerprint = fingerprint_of(snapshots_of(artefact, row))
    except UNREADABLE as error:
        return Found(None, findings=(f"the file cannot be read: {error.message}"[:MOST_CHARACTERS],))
    return transact(lambda: _compared(artefact, row, fingerprint, findings))


def _compared(artefact: Artefact, row: ArtefactVersion, fingerprint: Fingerprint, findings: tuple[str, ...]) -> Found:
    """Enter the fingerprint and compare it with what others have on sale or wait to sell."""
    index.hold()
    index.enter(artefact.id, version=row.version, fingerprint=fingerprint)
    similar = index.matches(fingerprint, but=artefact.id)
    sellers = _sellers(Q(file_digest=row.file_digest) | Q(id__in=[each.name for each in similar]), but=artefact.id)
    of_others = {name for name, seller in sellers.items() if seller != artefact.seller}
    identical = {each.name for each in similar if each.identical} | _same_files(row.file_digest)
    duplicate = min(identical & of_others, default=None)
    if not fingerprint.bands:
        return Found(None, duplicate, findings)
    shares = {each.name: each.similarity for each in similar} | dict.fromkeys(identical, 1.0)
    highest = max((share for name, share in shares.items() if name in sellers), default=0.0)
    return Found(round(1 - highest, DIGITS), duplicate, findings)


def _same_files(digest: str) -> set[str]:
    return set(ArtefactVersion.objects.filter(file_digest=digest).values_list("id", flat=True))


def _sellers(wanted: Q, *, but: str) -> dict[str, str]:
    """Return the sellers of other artefacts' versions, by <artefact>/<version>.

    Those that were refused, or whose artefacts were withdrawn, are left out.
    """
    versions = ArtefactVersion.objects.filter(wanted).exclude(screening=Screening.REFUSED).exclude(artefact_id=but)
    names = dict(versions.values_list("id", "artefact_id"))
    artefacts = Artefact.objects.filter(id__in=set(names.values()), withdrawn_at=None)
    sellers = dict(artefacts.values_list("id", "seller"))
    return {name: sellers[artefact] for name, artefact in names.items() if artefact in sellers}


def _measured(row: ArtefactVersion) -> Interval | None:
    """Return the retention that is on record already; its file never changes."""
    return None if row.retention is None else Interval(**row.retention)
