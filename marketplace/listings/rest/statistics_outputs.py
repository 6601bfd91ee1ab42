"""The JSON document of the catalogue's totals."""

from typing import Any

from rest_framework import serializers

from latentmas.protocol.quality import Basis
from marketplace.listings.rest.outputs import Json
from marketplace.listings.statistics import Statistics


class MeanEpsilonOutput(serializers.Serializer[Any]):
    basis = serializers.ChoiceField([basis.value for basis in Basis])
    mean = serializers.FloatField()
    listings = serializers.IntegerField()
    certification = serializers.CharField(allow_null=True, required=False)


class StatisticsOutput(serializers.Serializer[Any]):
    listings = serializers.IntegerField()
    versions = serializers.IntegerField()
    bytes = serializers.IntegerField()
    by_tier = serializers.DictField(child=serializers.IntegerField())
    by_grade = serializers.DictField(child=serializers.IntegerField())
    by_basis = serializers.DictField(child=serializers.IntegerField())
    by_method = serializers.DictField(child=serializers.IntegerField())
    by_space = serializers.DictField(child=serializers.IntegerField())
    by_family = serializers.DictField(child=serializers.IntegerField())
    epsilon = MeanEpsilonOutput(many=True, help_text="Of W-Matrices between KV-caches.")


def statistics_document(totals: Statistics) -> Json:
    names = ("listings", "versions", "bytes", "by_tier", "by_grade", "by_basis", "by_method", "by_space", "by_family")
    epsilons: list[Json] = [
        {"basis": basis, "mean": epsilon.mean, "listings": epsilon.listings}
        for basis, epsilon in totals.epsilon.items()
    ]
    for each in epsilons:
        if each["basis"] == Basis.SIMULATED:
            each["certification"] = None
    return {name: getattr(totals, name) for name in names} | {"epsilon": epsilons}
