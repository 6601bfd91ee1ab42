"""Map vectors of one model into the embedding space of another on this server."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np
from django.conf import settings

from latentmas import blobs
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, QualityBelowThreshold, TooLarge
from latentmas.protocol.quality import Quality
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Space, read_w_matrix
from latentmas.registry.queries import get_model
from marketplace.listings.certificates.standing import quality_of
from marketplace.listings.choosing.choice import for_vectors
from marketplace.listings.models import ListingVersion
from marketplace.listings.visibility import Viewer

OPEN_W_MATRICES = 16  # kept in memory by each process; one is a megabyte or two
WORKING_BYTES = 4  # of a number, which is float32 while it is mapped


@dataclass(frozen=True, slots=True)
class VectorOrder:
    """What is asked for: the two models, the version (None: the best certified one), and the receiver's policy."""

    source_model: str
    target_model: str
    version: str | None = None
    minimum_quality: float | None = None
    require_certificate: bool = True
    normalise: bool = False
    payer: Viewer | None = None  # who must not meet a price


@dataclass(frozen=True, slots=True)
class VectorAlignment:
    """Vectors `[count, dt]` in the target's space, the version that made them and its quality."""

    vectors: Array
    w_matrix: ListingVersion
    quality: Quality


def align(vectors: Array, order: VectorOrder, *, at: datetime) -> VectorAlignment:
    """Return vectors `[count, ds]` of the source as vectors of the target.

    Raises ModelNotSupported, WMatrixNotFound, PaymentRequired, DimensionMismatch for another width,
    QualityBelowThreshold for a map that the policy rules out, InvalidInput for an aligned vector of zeros to
    normalise, or TooLarge.
    """
    row = for_vectors(
        source_model=get_model(order.source_model).name,
        target_model=get_model(order.target_model).name,
        version=order.version,
        at=at,
        require_certificate=order.require_certificate,
        payer=order.payer,
    )
    quality = quality_of(row)
    _require_quality(row, order.minimum_quality)
    if vectors.shape[1] != row.source_dimension:
        raise DimensionMismatch(
            f"a vector of {row.source_model} has {row.source_dimension} numbers, these have {vectors.shape[1]}",
            resolution=f"Send vectors of {row.source_model} as listing {row.listing_id} was calibrated on.",
            expected=row.source_dimension,
            came=int(vectors.shape[1]),
            field="vectors",
        )
    _check_size(len(vectors), row)
    aligned = _map_of(row.file_digest)(vectors)
    return VectorAlignment(_unit(aligned) if order.normalise else aligned, row, quality)


def _require_quality(row: ListingVersion, least: float | None) -> None:
    reached = 1 - row.epsilon
    if least is not None and reached < least:
        raise QualityBelowThreshold(
            f"the best map from {row.source_model} to {row.target_model} reaches {reached:.3f}; asked for is {least}",
            resolution=f"Ask for minimum_quality {reached:.3f} or less, or embed the text with {row.target_model} "
            "itself.",
            expected=least,
            came=reached,
            field="minimum_quality",
        )


def _check_size(count: int, row: ListingVersion) -> None:
    size = count * max(row.source_dimension, row.target_dimension) * WORKING_BYTES
    if size > (limit := settings.KV_CACHE_MAX_BYTES):
        raise TooLarge(
            f"{count} vectors take {size} bytes to work on; the limit is {limit}",
            resolution="Send them in several requests.",
            limit=limit,
            size=size,
        )


@lru_cache(maxsize=OPEN_W_MATRICES)
def _map_of(digest: str) -> Callable[[Array], Array]:
    from kvcache.exchange.mapping import open_map

    w_matrix = read_w_matrix(blobs.local_path(digest), max_bytes=settings.W_MATRIX_MAX_BYTES)
    if w_matrix.document.space is not Space.EMBEDDING:
        raise InvalidInput(f"the W-Matrix {digest} maps {w_matrix.document.space.value}, not embeddings")
    return open_map(w_matrix.arrays).apply


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        raise InvalidInput("an aligned vector is zero and has no direction", field="normalise")
    unit: Array = vectors / lengths
    return unit
