"""What is known about the quality of one exchange: figures on record, and what was checked on this very snapshot.

Nothing is estimated for the snapshot: similarity, distance, retention and confidence are those of the W-Matrix,
measured on held-out documents and passed on with their basis. None means not measured, never zero.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from kvcache.exchange.distribution import inside, latent_distances
from latentmas.protocol.certification import Certification
from latentmas.protocol.quality import Basis, Interval, Quality
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import WMatrixDocument

LEAST_TOKENS = 16  # of a snapshot that is judged: the median of fewer says little


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is on record about a W-Matrix beyond its file; the certificate must be valid `at` that moment."""

    quality: Quality | None = None
    certificate: Certification | None = None
    refusals: tuple[str, ...] = ()  # why there is no certificate, in sentences
    at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentQuality:
    """The specification's four figures with their basis, and where this snapshot lies in the calibrated distribution.

    `information_retention` is the retention of the transfer contract where the target was run (`retention` repeats it
    then, and is None otherwise), `confidence` the lower end of its 95 % interval, `euclidean_distance` relative. Where
    a W-Matrix with a correction was applied without it, they are those of the plain map, or None.
    `distance` is the snapshot's own (see `distribution`), `outside_share` the share of its tokens that lie, each by
    itself, beyond the bounds of whole documents: a description, since tokens vary more than documents.
    """

    basis: Basis
    cosine_similarity: float | None
    euclidean_distance: float | None
    information_retention: float | None
    confidence: float | None
    retention: float | None
    distance: float | None = None
    inside: bool | None = None
    outside_share: float | None = None


def quality_of(document: WMatrixDocument, evidence: Evidence, *, plain: bool = False) -> AlignmentQuality:
    """Return what is on record; without a record only what the file itself states.

    `plain`: the W-Matrix has a correction, which its figures were measured with, and is applied without.
    """
    known, stated = evidence.quality, document.quality_metrics
    if plain:
        retention = None if known is None else known.uncorrected
        return _of_plain_map(stated.basis if known is None else known.basis, retention)
    if known is None:
        return AlignmentQuality(
            basis=stated.basis,
            cosine_similarity=None,
            euclidean_distance=None,
            information_retention=stated.information_retention,
            confidence=None,
            retention=stated.expected_quality if stated.basis is Basis.FUNCTIONAL else None,
        )
    return AlignmentQuality(
        basis=known.basis,
        cosine_similarity=known.cosine_similarity,
        euclidean_distance=known.euclidean_distance,
        information_retention=known.information_retention,
        confidence=known.confidence,
        retention=None if known.retention is None else known.retention.aligned.value,
    )


def _of_plain_map(basis: Basis, retention: Interval | None) -> AlignmentQuality:
    """Return the plain map's retention alone: similarity and distance on record are those of corrected rows."""
    value = None if retention is None else retention.value
    return AlignmentQuality(
        basis=basis,
        cosine_similarity=None,
        euclidean_distance=None,
        information_retention=value,
        confidence=None if retention is None else retention.low,
        retention=value,
    )


def judged(
    quality: AlignmentQuality, latents: Array, *, document: WMatrixDocument, latent_scale: Array | None
) -> AlignmentQuality:
    """Return the quality with the distance of a snapshot's tokens, from their latents `[tokens, du]`.

    It stays None where the W-Matrix does not say how its latents spread, and is not compared with the bounds where it
    states none or the snapshot has too few tokens.
    """
    if latent_scale is None or not len(latents):
        return quality
    distances = latent_distances(latents, latent_scale)
    distance = float(np.median(distances))
    bounds = document.distribution
    if bounds is None:
        return replace(quality, distance=distance)
    return replace(
        quality,
        distance=distance,
        inside=inside(distance, bounds) if len(latents) >= LEAST_TOKENS else None,
        outside_share=float(np.mean((distances < bounds.low) | (distances > bounds.high))),
    )
