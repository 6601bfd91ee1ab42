"""The index of fingerprints: which memories share most with a given one, found by bands (locality-sensitive hashing).

Two memories whose signatures agree in a share s of their places have at least one band of r places in common with the
probability 1 - (1 - s^r)^b. With b = 32 and r = 2 that is .27 at s = .1, .95 at .3 and above .999 from .45 on.
"""

from dataclasses import dataclass

import numpy as np
from django.db import connection
from django.db.models import Count

from marketplace.screening.fingerprints import BASES, Fingerprint, key_id, similarity
from marketplace.screening.models import FingerprintBand, StoredFingerprint

CANDIDATES = 300  # compared at most: those with the most bands in common
LOCK = "SELECT pg_advisory_xact_lock(5190362)"


@dataclass(frozen=True, slots=True)
class Match:
    """Another version of an artefact, and the share of its grams that are the same, by ids or by values."""

    artefact_id: str
    version: str
    similarity: float

    @property
    def identical(self) -> bool:
        """Whether the signatures agree in every place."""
        return self.similarity == 1

    @property
    def name(self) -> str:
        return f"{self.artefact_id}/{self.version}"


def hold() -> None:
    """Let no two screenings enter their fingerprints at once until this transaction ends: each sees the one before."""
    if connection.vendor == "postgresql":  # SQLite has one writer anyway
        with connection.cursor() as cursor:
            cursor.execute(LOCK)


def enter(artefact_id: str, *, version: str, fingerprint: Fingerprint) -> None:
    """Keep a version's fingerprint, in the place of one that it has."""
    forget(artefact_id, version=version)
    row = StoredFingerprint.objects.create(
        artefact_id=artefact_id,
        version=version,
        key_id=fingerprint.key_id,
        tokens=fingerprint.tokens,
        rows=fingerprint.rows,
    )
    FingerprintBand.objects.bulk_create(FingerprintBand(fingerprint=row, value=value) for value in fingerprint.bands)


def forget(artefact_id: str, *, version: str | None = None) -> None:
    """Erase the fingerprint of a version, or all of an artefact."""
    rows = StoredFingerprint.objects.filter(artefact_id=artefact_id)
    (rows if version is None else rows.filter(version=version)).delete()


def matches(fingerprint: Fingerprint, *, but: str) -> list[Match]:
    """Return the versions of other artefacts than `but` that share a band, the most similar one first.

    Of more than CANDIDATES those are compared that share the most bands.
    """
    if not (values := fingerprint.bands):
        return []
    shared = (
        FingerprintBand.objects.filter(value__in=values)
        .values("fingerprint")
        .annotate(bands=Count("fingerprint"))  # of the index alone, the rows are not read
        .order_by("-bands", "fingerprint")
        .values_list("fingerprint", flat=True)[:CANDIDATES]
    )
    candidates = StoredFingerprint.objects.filter(pk__in=list(shared), key_id=key_id()).exclude(artefact_id=but)
    rows = list(candidates.order_by("pk").values_list("artefact_id", "version", *BASES))
    if not rows:
        return []
    names, versions, *stored = zip(*rows, strict=True)
    by_basis = [similarity(fingerprint.of(basis), map(_bytes, each)) for basis, each in zip(BASES, stored, strict=True)]
    found = [Match(*each) for each in zip(names, versions, np.max(by_basis, axis=0).tolist(), strict=True)]
    return sorted(found, key=lambda each: -each.similarity)


def _bytes(stored: bytes | memoryview | None) -> bytes | None:
    return None if stored is None else bytes(stored)  # PostgreSQL gives a view
