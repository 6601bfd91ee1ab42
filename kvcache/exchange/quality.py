"""What is known about the quality of one exchange: figures on record, and what is seen of this very snapshot.

Similarity, retention and confidence are those of the W-Matrix, measured on held-out documents and passed on with their
basis. None means not measured, never zero. What this snapshot may keep is a forecast, by signs that are seen while it
is aligned; it stands beside the figures and is never taken for one.

Whether a snapshot is like those that the W-Matrix was calibrated on is judged by its distance in the W-Matrix's latent
space. A token's distance is the mean over the latents of (z / root mean square of z in calibration) squared: about 1
for the text of calibration, far from 1 for another model's rows, other positions, or a cache that was damaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from kvcache.exchange.signs import Seen
from latentmas.protocol.certification import Certification
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.expected import Expected, RegisterRetention, covering, expected, retention_in
from latentmas.protocol.forecast import Forecast
from latentmas.protocol.quality import Basis, Interval, Quality, TokenMode
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Distribution, WMatrixDocument

if TYPE_CHECKING:
    from kvcache.exchange.mapping import LatentMap  # brings JAX along

LEAST_TOKENS = 16  # of a snapshot that is judged: the median of fewer says little
LEAST_DOCUMENTS = 2
# The bounds extend the range of the documents' distances on each side by half of its width (as logarithms), at least by
# a tenth: a new document often lies just outside the range of a few dozen others.
MARGIN_OF_RANGE = 0.5
LEAST_MARGIN = float(np.log(1.1))


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is on record about a W-Matrix beyond its file; the certificate must be valid `at` that moment."""

    quality: Quality | None = None
    certificate: Certification | None = None
    refusals: tuple[str, ...] = ()  # why there is no certificate, in sentences
    target_weights: str | None = None  # digest of the target's weights that the figures were measured with
    at: datetime = field(default_factory=_now)

    def measured_in(self, mode: TokenMode) -> bool:
        """Return whether there are figures of memories that are handed over so."""
        suite = None if self.quality is None else self.quality.suite
        return suite is not None and any(retention_in(cell, mode) is not None for cell in suite.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentQuality:
    """The figures of specification 4.3.4 with their basis, and where this snapshot lies in the calibrated distribution.

    `information_retention` is the retention of the transfer contract where the target was run (`retention` repeats it
    then, and is None otherwise), `confidence` the lower end of its 95 % interval, `euclidean_distance` relative. They
    are of the `mode` in which the memory is handed over. With an evaluation `suite` on record they are those of its
    worst `register` at `length`, the shortest context length of the suite that covers this context; `registers` are all
    of them and `mean_retention` their mean. Where a W-Matrix with a correction was applied without it, they are those
    of the plain map, or None. `expected_retention` is the forecast for this very snapshot, with the 95 % interval of a
    single memory; None where the W-Matrix has no forecast for this use. `distance` is this snapshot's; `outside_share`
    is the share of its single tokens beyond the bounds of whole documents, which only describes: tokens vary more than
    documents.
    """

    basis: Basis
    mode: TokenMode
    cosine_similarity: float | None = None
    euclidean_distance: float | None = None
    information_retention: float | None = None
    confidence: float | None = None
    retention: float | None = None
    suite: str | None = None
    length: int | None = None
    register: str | None = None
    mean_retention: float | None = None
    registers: tuple[RegisterRetention, ...] = ()
    expected_retention: Interval | None = None
    distance: float | None = None
    inside: bool | None = None
    outside_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a memory is handed over, by which figures are chosen.

    `tokens` is the length of the context, in the target's tokens where they are known; None takes the suite's shortest
    length. `plain`: the W-Matrix has a correction that is not applied.
    """

    mode: TokenMode = TokenMode.TOKENS_KNOWN
    tokens: int | None = None
    plain: bool = False


def quality_of(document: WMatrixDocument, evidence: Evidence, use: Use) -> AlignmentQuality:
    """Return the figures on record for this use; without a record, those that the file itself states.

    No figure stands in for another: in source-token mode there are only those that were measured so.
    """
    known, stated = evidence.quality, document.quality_metrics
    nothing = AlignmentQuality(basis=stated.basis if known is None else known.basis, mode=use.mode)
    if known is None:
        return nothing if use.plain or use.mode is TokenMode.SOURCE_TOKENS else _as_stated(document, nothing)
    if use.mode is TokenMode.TOKENS_KNOWN and use.plain:
        return _with(nothing, known.uncorrected) if _of_shortest_length(known, use) else nothing
    if known.suite is not None:
        return _of_suite(known, use, nothing)
    if use.mode is TokenMode.SOURCE_TOKENS:
        return nothing
    return replace(
        nothing,
        cosine_similarity=known.cosine_similarity,
        euclidean_distance=known.euclidean_distance,
        information_retention=known.information_retention,
        confidence=known.confidence,
        retention=None if known.retention is None else known.retention.aligned.value,
    )


def _as_stated(document: WMatrixDocument, nothing: AlignmentQuality) -> AlignmentQuality:
    stated = document.quality_metrics
    return replace(
        nothing,
        information_retention=stated.information_retention,
        retention=stated.expected_quality if stated.basis is Basis.FUNCTIONAL else None,
    )


def _of_shortest_length(known: Quality, use: Use) -> bool:
    """Return whether figures over the documents of a suite's shortest length hold for this context."""
    return known.suite is None or covering(known.suite.lengths[:1], use.tokens) is not None


def _of_suite(known: Quality, use: Use, nothing: AlignmentQuality) -> AlignmentQuality:
    assert known.suite is not None
    found: Expected | None = expected(known.suite, use.tokens, mode=use.mode)
    if found is None:
        return replace(nothing, suite=known.suite.name)
    rows_alike = use.mode is TokenMode.TOKENS_KNOWN  # similarity and distance are of rows that were made so
    return replace(
        _with(nothing, found.worst.retention),
        cosine_similarity=known.cosine_similarity if rows_alike else None,
        euclidean_distance=known.euclidean_distance if rows_alike else None,
        suite=known.suite.name,
        length=found.length,
        register=found.worst.register,
        mean_retention=found.mean,
        registers=found.registers,
    )


def _with(quality: AlignmentQuality, retention: Interval | None) -> AlignmentQuality:
    if retention is None:
        return quality
    value = retention.value
    return replace(quality, information_retention=value, retention=value, confidence=retention.low)


def judged(quality: AlignmentQuality, seen: Seen, *, document: WMatrixDocument, use: Use) -> AlignmentQuality:
    """Return the quality with what is seen of the snapshot: its distance, and the retention to expect of it.

    `distance` is None without a latent scale; `inside` is None where the W-Matrix states no bounds, and with the
    forecast where the snapshot has fewer than LEAST_TOKENS tokens.
    """
    distances = seen.distances
    if distances is None or not len(distances):
        return quality
    quality = replace(quality, distance=float(np.median(distances)), expected_retention=_expected(seen, document, use))
    bounds = document.distribution
    if bounds is None:
        return quality
    assert quality.distance is not None
    return replace(
        quality,
        inside=inside(quality.distance, bounds) if len(distances) >= LEAST_TOKENS else None,
        outside_share=float(np.mean((distances < bounds.low) | (distances > bounds.high))),
    )


def forecast_for(document: WMatrixDocument, use: Use) -> Forecast | None:
    """Return the W-Matrix's forecast for memories that are handed over in this way; None where it has none."""
    if use.mode is TokenMode.SOURCE_TOKENS:
        return document.forecast(use.mode)
    # What is read in place is foretold as if it were not: that can only help. None was fitted on uncorrected memories.
    return None if use.plain else document.forecast(TokenMode.TOKENS_KNOWN)


def _expected(seen: Seen, document: WMatrixDocument, use: Use) -> Interval | None:
    forecast = forecast_for(document, use)
    if forecast is None or seen.distances is None or len(seen.distances) < LEAST_TOKENS:
        return None
    return forecast.of(seen.signs())


def latent_distances(latents: Array, latent_scale: Array) -> Array:
    """Return the distance of each token `[tokens]` from its latents `[tokens, du]`."""
    scaled = latents / latent_scale
    return np.asarray(np.einsum("ij,ij->i", scaled, scaled) / latents.shape[1])


def row_distances(rows: Array, latent_map: "LatentMap") -> Array:
    """Return the distance of each source row `[tokens, ds]`. Raises InvalidInput without a latent scale."""
    if latent_map.latent_scale is None:
        raise InvalidInput("this W-Matrix carries no latent_scale, so distances are unknown", field="latent_scale")
    return latent_distances(latent_map.encode(np.asarray(rows, np.float32)), latent_map.latent_scale)


def snapshot_distance(rows: Array, latent_map: "LatentMap") -> float:
    """Return the distance of a whole memory: the median over its tokens, BOS not among them."""
    return float(np.median(row_distances(rows, latent_map)))


def calibrated(distances: Sequence[float]) -> Distribution:
    """Return the bounds that the distances of whole documents give. Raises InvalidInput for too few, or zeros."""
    if len(distances) < LEAST_DOCUMENTS:
        raise InvalidInput(f"{len(distances)} documents give no bounds; at least {LEAST_DOCUMENTS} are needed")
    if not all(np.isfinite(distance) and distance > 0 for distance in distances):
        raise InvalidInput("the distances of documents must be finite and above 0")
    logs = np.log(np.asarray(distances, np.float64))
    margin = max(LEAST_MARGIN, MARGIN_OF_RANGE * float(np.ptp(logs)))
    low, high = np.exp(logs.min() - margin), np.exp(logs.max() + margin)
    return Distribution(low=float(low), high=float(high), documents=len(distances))


def inside(distance: float, distribution: Distribution) -> bool:
    """Return whether a memory's distance lies where the documents of calibration were."""
    return distribution.low <= distance <= distribution.high
