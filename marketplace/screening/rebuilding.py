"""Make fingerprints anew from the files of what is on sale."""

from latentmas.events.transactions import transact
from latentmas.protocol.errors import LatentMASError
from marketplace.artefacts.models import Artefact, ArtefactVersion, Screening
from marketplace.screening import index
from marketplace.screening.contents import snapshots_of
from marketplace.screening.fingerprints import Fingerprint, fingerprint_of
from marketplace.screening.models import StoredFingerprint


def rebuild() -> tuple[int, list[str]]:
    """Make the fingerprints of all versions that may be sold anew and erase the others.

    Returns how many were made, and which versions' files could not be read; those keep what they have.
    """
    artefacts = {row.id: row for row in Artefact.objects.filter(withdrawn_at=None)}
    versions = ArtefactVersion.objects.exclude(screening=Screening.REFUSED).filter(artefact_id__in=list(artefacts))
    made, unreadable, kept = 0, list[str](), set[str]()
    for row in versions.order_by("published_at", "id"):
        kept.add(row.id)
        try:
            fingerprint = fingerprint_of(snapshots_of(artefacts[row.artefact_id], row))
        except LatentMASError:
            unreadable.append(row.id)
            continue
        _enter(row, fingerprint)
        made += 1
    for stored in StoredFingerprint.objects.order_by("pk"):
        if str(stored) not in kept:
            stored.delete()
    return made, unreadable


def _enter(row: ArtefactVersion, fingerprint: Fingerprint) -> None:
    def work() -> None:
        index.hold()
        index.enter(row.artefact_id, version=row.version, fingerprint=fingerprint)

    transact(work)
