"""Quality estimation over REST: what a pair of models may retain, before a W-Matrix between them is made."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kvcache.server.queries import get_adapter
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model
from latentmas.rest.endpoints import reading
from marketplace.listings import queries
from marketplace.listings.estimates import BASIS, COVERAGE, Estimate, Known, Relation, estimate
from marketplace.listings.models import Listing
from marketplace.listings.rest import inputs, outputs

SHOWN = ("source_model", "target_model", "version", "basis", "retention", "certification", "url")


class EstimatedRetentionOutput(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True, help_text="Null where nothing is known.")
    low = serializers.FloatField()
    high = serializers.FloatField()
    coverage = serializers.FloatField(help_text="The share of pairs like this one that is expected inside.")


class MeasuredPairOutput(serializers.Serializer[Any]):
    source_model = serializers.CharField()
    target_model = serializers.CharField()
    listing_id = serializers.CharField()
    version = serializers.CharField()
    basis = serializers.ChoiceField([basis.value for basis in Basis])
    retention = outputs.IntervalOutput()
    certification = outputs.CertificationOutput(allow_null=True)
    url = serializers.CharField()


class EvidenceOutput(MeasuredPairOutput):
    relation = serializers.ChoiceField([relation.value for relation in Relation])
    similarity = serializers.FloatField(help_text="Assumed correlation with the pair in question, at most .85.")


class PairEstimateOutput(serializers.Serializer[Any]):
    source_model = serializers.CharField()
    target_model = serializers.CharField()
    basis = serializers.CharField(help_text=f"Always {BASIS!r}, which is none of the labels of a W-Matrix's figures.")
    certification = serializers.CharField(allow_null=True, help_text="Always null: an estimate earns none.")
    estimated_retention = EstimatedRetentionOutput()
    known = serializers.ChoiceField([known.value for known in Known])
    knowledge = serializers.CharField(help_text="In a sentence: how much is known, and what it rests on.")
    pairs = serializers.IntegerField(help_text="Number of measured pairs that the estimate rests on.")
    rests_on = EvidenceOutput(many=True, help_text="Those pairs, the most similar first.")
    measured = MeasuredPairOutput(
        allow_null=True, help_text="What was measured for exactly this pair: use that instead."
    )


@reading("w_matrices_estimate", answer=PairEstimateOutput, query=inputs.PairEstimateInput)
def estimate_quality(request: Request) -> Response:
    """Estimate the retention of a pair before a W-Matrix is made: an interval, and the measured pairs it rests on."""
    wanted, now = inputs.read_query(request, inputs.PairEstimateInput), timezone.now()
    source, target = _with_cache(wanted["source_model"]), _with_cache(wanted["target_model"])
    if source.name == target.name:
        raise InvalidInput(
            f"source and target are the same model, {source.name!r}",
            resolution="Hand its memory over as it is: the same model needs no W-Matrix.",
            field="target_model",
        )
    listings = queries.measured_listings(at=now)
    found = estimate(source, target, queries.measured_pairs(listings))
    pair = {"source_model": source.name, "target_model": target.name}
    return Response(pair | document(found, {row.id: row for row in listings}, at=now))


def document(found: Estimate, listings: dict[str, Listing], *, at: datetime) -> outputs.Json:
    own = None if found.own is None else _measured(listings[found.own.listing_id], at=at)
    return {
        "basis": BASIS,
        "certification": None,
        "estimated_retention": {"value": found.value, "low": found.low, "high": found.high, "coverage": COVERAGE},
        "known": found.known.value,
        "knowledge": found.knowledge,
        "pairs": len(found.rests_on),
        "rests_on": [
            _measured(listings[each.pair.listing_id], at=at)
            | {"relation": each.relation.value, "similarity": each.similarity}
            for each in found.rests_on
        ],
        "measured": own,
    }


def _measured(row: Listing, *, at: datetime) -> outputs.Json:
    summary = outputs.summary(row, at=at)
    return {"listing_id": row.id} | {name: summary[name] for name in SHOWN}


def _with_cache(spelling: str) -> RegisteredModel:
    """Return an active model that keeps a KV-cache. Raises ModelNotSupported."""
    return get_model(get_adapter(spelling).model)
