"""Answers of `kv-cache/align` and `vectors/align`: each serializer beside the function that fills it."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from kvcache.exchange.placement import Mode
from kvcache.exchange.policy import Decision, quality_facts
from kvcache.exchange.rereading.choosing import Reading
from kvcache.server.outputs import MAX_JSON_NUMBERS
from kvcache.server.recording import timing
from latentmas.protocol.errors import TooLarge
from latentmas.protocol.quality import Basis, Interval, TokenMode
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array
from latentmas.rest.answers import CONTENT_TYPE
from latentmas.rest.middleware import PROTOCOL
from marketplace.exchange.kv_cache import KVCacheAlignment
from marketplace.exchange.vectors import VectorAlignment
from marketplace.listings.rest import outputs as listings

Json = dict[str, Any]


class RegisterRetentionOutput(serializers.Serializer[Any]):
    register = serializers.CharField()
    retention = listings.IntervalOutput()


class AlignmentQualityOutput(serializers.Serializer[Any]):
    """Null: not measured."""

    basis = serializers.ChoiceField([basis.value for basis in Basis])
    mode = serializers.ChoiceField([mode.value for mode in TokenMode], help_text="In which the figures were measured.")
    cosine_similarity = serializers.FloatField(allow_null=True)
    euclidean_distance = serializers.FloatField(allow_null=True, help_text="Relative.")
    information_retention = serializers.FloatField(allow_null=True)
    confidence = serializers.FloatField(allow_null=True, help_text="Lower end of the retention's 95 % interval.")
    retention = serializers.FloatField(
        allow_null=True, help_text="Where the target was run; with a suite that of its worst register."
    )
    suite = serializers.CharField(allow_null=True, help_text="The evaluation suite that the figures are of.")
    length = serializers.IntegerField(allow_null=True, help_text="Its shortest context length that covers this one.")
    register = serializers.CharField(allow_null=True, help_text="The worst register at that length.")
    mean_retention = serializers.FloatField(allow_null=True, help_text="Over the registers at that length.")
    registers = RegisterRetentionOutput(many=True)
    expected_retention = listings.IntervalOutput(
        allow_null=True, help_text="A forecast for this very snapshot, with the interval of 95 % of such memories."
    )
    distance = serializers.FloatField(allow_null=True, help_text="Of this very snapshot, about 1 in calibration.")
    inside = serializers.BooleanField(allow_null=True, help_text="Whether that is within the calibrated bounds.")
    outside_share = serializers.FloatField(allow_null=True, help_text="Share of its tokens beyond them.")


class AlignedOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    positions = serializers.ListField(child=serializers.IntegerField())
    next_position = serializers.IntegerField()
    starts = serializers.ListField(child=serializers.IntegerField(), help_text="First token that each layer holds.")
    token_ids = serializers.ListField(child=serializers.IntegerField(), allow_null=True)
    offsets = serializers.ListField(child=serializers.ListField(), allow_null=True)
    keys = serializers.ListField(help_text="[layers][tokens][heads][dim]")
    values = serializers.ListField(help_text="[layers][tokens][heads][dim]")


class ReadingOutput(serializers.Serializer[Any]):
    chooser = serializers.CharField()
    positions = serializers.ListField(child=serializers.IntegerField(), help_text="In the target's memory; BOS is 0.")
    tokens = serializers.IntegerField(help_text="Of the whole context.")


class AlignmentOutput(serializers.Serializer[Any]):
    protocol = serializers.CharField()
    source_model = serializers.CharField()
    target_model = serializers.CharField()
    decision = serializers.ChoiceField([Decision.APPLIED.value])
    mode = serializers.ChoiceField([mode.value for mode in Mode])
    tokens = serializers.IntegerField(help_text="In the memory, the target's sink among them.")
    dropped = serializers.IntegerField(help_text="Tokens that found no place in it.")
    corrected = serializers.BooleanField(help_text="Whether the target's first layer corrected the others.")
    findings = serializers.ListField(child=serializers.CharField())
    reread = ReadingOutput(allow_null=True, help_text="What the target is to read itself, where that was asked for.")
    alignment_quality = AlignmentQualityOutput()
    w_matrix = listings.AppliedWMatrixOutput()
    metrics = serializers.DictField()
    aligned_kv_cache = AlignedOutput(help_text="Not beside a file, which is the cache itself.")


def kv_cache_alignment(done: KVCacheAlignment, *, at: datetime) -> Json:
    """Return the answer without the cache itself."""
    exchanged, row = done.exchanged, done.w_matrix
    frame = exchanged.snapshot.frame
    return {
        "protocol": PROTOCOL,
        "source_model": row.source_model,
        "target_model": row.target_model,
        "decision": exchanged.decision.value,
        "mode": exchanged.mode.value,
        "tokens": frame.tokens,
        "dropped": exchanged.dropped,
        "corrected": exchanged.corrected,
        "findings": list(exchanged.findings),
        "reread": None if done.reading is None else _reading(done.reading),
        "alignment_quality": quality_facts(exchanged.quality),
        "w_matrix": listings.applied_w_matrix(row, at=at),
        "metrics": {"alignment_time_ms": done.clock.duration_ms, "aligned_bytes": _bytes_of(exchanged.snapshot)}
        | timing(done.clock),
    }


def kv_cache_document(snapshot: KVSnapshot) -> Json:
    """Return the cache as nested lists. Raises TooLarge for more than JSON should carry."""
    if max(snapshot.keys.size, snapshot.values.size) > MAX_JSON_NUMBERS:
        raise TooLarge(
            f"the aligned cache holds {snapshot.keys.size} numbers in its keys; a JSON answer holds at most "
            f"{MAX_JSON_NUMBERS}",
            resolution=f"Send Accept: {CONTENT_TYPE}.",
            limit=MAX_JSON_NUMBERS,
            size=int(snapshot.keys.size),
        )
    frame = snapshot.frame
    return {
        "model": frame.model,
        "positions": frame.positions.tolist(),
        "next_position": frame.next_position,
        "starts": list(frame.starts),
        "token_ids": _listed(frame.token_ids),
        "offsets": _listed(frame.offsets),
        "keys": snapshot.keys.tolist(),
        "values": snapshot.values.tolist(),
    }


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


def vector_alignment(done: VectorAlignment, *, protocol: str, at: datetime) -> Json:
    """Return the answer without the vectors themselves."""
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


def vector_rows(vectors: Array) -> list[list[float]]:
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


def _reading(reading: Reading) -> Json:
    return {"chooser": reading.chooser, "positions": reading.positions.tolist(), "tokens": reading.tokens}


def _listed(array: Array | None) -> Any:
    return None if array is None else array.tolist()


def _bytes_of(snapshot: KVSnapshot) -> int:
    return int(snapshot.keys.nbytes + snapshot.values.nbytes)


def _interval(interval: Interval) -> Json:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
