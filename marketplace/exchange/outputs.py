"""What `kv-cache/align` answers, and its shape for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from kvcache.exchange.decision import Decision, quality_facts
from kvcache.exchange.places import Mode
from kvcache.outcomes import timing
from kvcache.outputs import MAX_JSON_NUMBERS
from latentmas.downloads import CONTENT_TYPE
from latentmas.middleware import PROTOCOL
from latentmas.protocol.errors import TooLarge
from latentmas.protocol.quality import Basis
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array
from marketplace.exchange.aligning import Alignment
from marketplace.listings import outputs as listings

Json = dict[str, Any]


class AlignmentQualityOutput(serializers.Serializer[Any]):
    """Null: not measured."""

    basis = serializers.ChoiceField([basis.value for basis in Basis])
    cosine_similarity = serializers.FloatField(allow_null=True)
    euclidean_distance = serializers.FloatField(allow_null=True, help_text="Relative.")
    information_retention = serializers.FloatField(allow_null=True)
    confidence = serializers.FloatField(allow_null=True, help_text="Lower end of the retention's 95 % interval.")
    retention = serializers.FloatField(allow_null=True, help_text="Where the target was run.")
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
    alignment_quality = AlignmentQualityOutput()
    w_matrix = listings.AppliedWMatrixOutput()
    metrics = serializers.DictField()
    aligned_kv_cache = AlignedOutput(help_text="Not beside a file, which is the cache itself.")


def alignment_document(done: Alignment, *, at: Any) -> Json:
    """Return everything but the cache itself."""
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
        "alignment_quality": quality_facts(exchanged.quality),
        "w_matrix": listings.applied_w_matrix(row, at=at),
        "metrics": {"alignment_time_ms": done.clock.duration_ms, "aligned_bytes": _bytes_of(exchanged.snapshot)}
        | timing(done.clock),
    }


def cache_document(snapshot: KVSnapshot) -> Json:
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


def _listed(array: Array | None) -> Any:
    return None if array is None else array.tolist()


def _bytes_of(snapshot: KVSnapshot) -> int:
    return int(snapshot.keys.nbytes + snapshot.values.nbytes)
