"""A W-Matrix given as plain arrays, y = x W + b (the specification's createListing), as a stored file."""

from dataclasses import dataclass

import numpy as np

from kvcache.server.queries import get_adapter
from latentmas import blobs
from latentmas.protocol import tensors
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Basis
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Method, QualityMetrics, Space, TokenAlignment, WMatrix, WMatrixBuilder
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.publishing.publication import Declared


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearMap:
    """Weights `[source_dimension, target_dimension]` and biases `[target_dimension]` as JSON gives them."""

    source_model: str
    target_model: str
    source_dimension: int
    target_dimension: int
    weights: object
    biases: object | None
    standard: int
    method: Method
    space: Space


def store_arrays(given: LinearMap, declared: Declared) -> StoredFile:
    """Store the map as a W-Matrix file.

    Raises InvalidInput, DimensionMismatch, ModelNotSupported or StorageUnavailable.
    """
    w_matrix = _w_matrix(given, declared)
    digest = blobs.put(w_matrix.write)
    return StoredFile(digest, blobs.size(digest))


def _w_matrix(given: LinearMap, declared: Declared) -> WMatrix:
    weights = tensors.numbers("weights", given.weights, rank=2)
    source_width, target_width = given.source_dimension, given.target_dimension
    if weights.shape != (source_width, target_width):
        raise DimensionMismatch(
            f"weights has the shape {weights.shape}; source_dimension and target_dimension ask for "
            f"({source_width}, {target_width})",
            field="weights",
        )
    biases = np.zeros(target_width, np.float32)
    if given.biases is not None:
        biases = tensors.numbers("biases", given.biases, rank=1)
    if len(biases) != target_width:
        raise DimensionMismatch(f"biases has {len(biases)} numbers; target_dimension is {target_width}", field="biases")
    source, target = (get_model(name, require_active=True) for name in (given.source_model, given.target_model))
    encoder, decoder = _factors(weights)
    unit = {side: np.ones(width, np.float32) for side, width in (("source", source_width), ("target", target_width))}
    builder = (
        WMatrixBuilder()
        .set_version(declared.version)
        .set_models(source.name, target.name, space=given.space)
        .set_method(given.method, token_alignment=TokenAlignment.NONE)
        .set_weights(encoder, decoder, standard=given.standard)
        .set_arrays(
            source_mean=np.zeros(source_width, np.float32),
            source_scale=unit["source"],
            target_mean=biases,
            target_scale=unit["target"],
        )
        .set_quality(_metrics(declared, cost=encoder.size + decoder.size))
    )
    geometries = [_geometry(model, width) for model, width in ((source, source_width), (target, target_width))]
    if given.space is Space.KV_CACHE and None not in geometries:
        builder = builder.set_geometry(*geometries)  # type: ignore[arg-type]  # neither is None
    return builder.build()


def _factors(weights: Array) -> tuple[Array, Array]:
    """Return W as E `[ds, rank]` times D `[rank, dt]`, of equal scale, by its singular values."""
    left, values, right = np.linalg.svd(weights.astype(np.float64), full_matrices=False)
    rank = int(np.count_nonzero(values > values[0] * max(weights.shape) * np.finfo(np.float32).eps))
    if not rank:
        raise InvalidInput("weights is zero everywhere", field="weights")
    roots = np.sqrt(values[:rank])
    return (left[:, :rank] * roots).astype(np.float32), (roots[:, None] * right[:rank]).astype(np.float32)


def _metrics(declared: Declared, *, cost: int) -> QualityMetrics:
    kept = 1 - declared.epsilon
    return QualityMetrics(Basis.DECLARED, expected_quality=kept, information_retention=kept, computational_cost=cost)


def _geometry(model: RegisteredModel, width: int) -> KVGeometry | None:
    """Return the registered geometry where the width is the model's; the scan finds a width that is not."""
    geometry = get_adapter(model.name).geometry if model.has_kv_cache else None
    return geometry if geometry is not None and geometry.width == width else None
