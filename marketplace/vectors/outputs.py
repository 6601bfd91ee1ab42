"""What `vectors/align` answers, and its shape for the OpenAPI document."""

import io
from datetime import datetime
from typing import Any

from rest_framework import serializers

from kvcache.outputs import MAX_JSON_NUMBERS
from latentmas.downloads import CONTENT_TYPE
from latentmas.protocol import tensors
from latentmas.protocol.errors import TooLarge
from latentmas.protocol.quality import Basis
from latentmas.protocol.tensors import Array
from marketplace.listings import outputs as listings
from marketplace.vectors.aligning import Alignment

Json = dict[str, Any]
KIND = "vectors"


class VectorQualityOutput(serializers.Serializer[Any]):
    """Of the W-Matrix, measured on held-out passages. Null: not measured."""

    basis = serializers.ChoiceField([basis.value for basis in Basis])
    quality = serializers.FloatField(help_text="1 - epsilon: top-1 retrieval where both models were run.")
    confidence = serializers.FloatField(allow_null=True, help_text="Lower end of its 95 % interval.")
    top1 = listings.IntervalOutput(allow_null=True)
    top5 = listings.IntervalOutput(allow_null=True)
    random_w_top1 = listings.IntervalOutput(allow_null=True)
    candidates = serializers.IntegerField(allow_null=True)
    cosine_similarity = serializers.FloatField()
    euclidean_distance = serializers.FloatField(help_text="Relative.")
    information_retention = serializers.FloatField()


class VectorAlignmentOutput(serializers.Serializer[Any]):
    protocol = serializers.CharField()
    source_model = serializers.CharField()
    target_model = serializers.CharField()
    count = serializers.IntegerField()
    alignment_quality = VectorQualityOutput()
    w_matrix = listings.AppliedWMatrixOutput()
    aligned_vector = serializers.ListField(
        child=serializers.FloatField(), required=False, help_text="Where `vector` was sent."
    )
    aligned_vectors = serializers.ListField(required=False, help_text="Where `vectors` was sent; not beside a file.")


def alignment_document(done: Alignment, *, protocol: str, at: datetime) -> Json:
    """Return everything but the vectors themselves."""
    row, quality, found = done.w_matrix, done.quality, done.quality.retrieval
    intervals = ("top1", "top5", "random_w_top1")
    return {
        "protocol": protocol,
        "source_model": row.source_model,
        "target_model": row.target_model,
        "count": len(done.vectors),
        "alignment_quality": {
            "basis": quality.basis.value,
            "quality": 1 - quality.epsilon,
            "confidence": quality.confidence,
            **{name: None if found is None else _interval(getattr(found, name)) for name in intervals},
            "candidates": None if found is None else found.candidates,
            "cosine_similarity": quality.cosine_similarity,
            "euclidean_distance": quality.euclidean_distance,
            "information_retention": quality.information_retention,
        },
        "w_matrix": listings.applied_w_matrix(row, at=at),
    }


def listed(vectors: Array) -> list[list[float]]:
    """Return vectors as nested lists. Raises TooLarge for more than JSON should carry."""
    if vectors.size > MAX_JSON_NUMBERS:
        raise TooLarge(
            f"the aligned vectors hold {vectors.size} numbers; a JSON answer holds at most {MAX_JSON_NUMBERS}",
            resolution=f"Send Accept: {CONTENT_TYPE}.",
            limit=MAX_JSON_NUMBERS,
            size=int(vectors.size),
        )
    rows: list[list[float]] = vectors.tolist()
    return rows


def to_file(vectors: Array) -> bytes:
    """Return vectors as a safetensors file, as they are sent too."""
    file = io.BytesIO()
    tensors.write(file, {KIND: vectors}, {"kind": KIND, "version": 1})
    return file.getvalue()


def _interval(interval: Any) -> Json:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
