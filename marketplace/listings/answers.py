"""The shapes of the catalogue's smaller answers, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from latentmas.problems import ProblemOutput as ProblemOutput
from latentmas.protocol.quality import Basis
from marketplace.listings.outputs import CertificationOutput, IntervalOutput

BASES = [basis.value for basis in Basis]


class CertificateOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    version = serializers.CharField()
    file_digest = serializers.CharField()
    source_model = serializers.CharField()
    source_weights = serializers.CharField(allow_null=True)
    target_model = serializers.CharField()
    target_weights = serializers.CharField(allow_null=True)
    basis = serializers.ChoiceField(BASES)
    epsilon = serializers.FloatField()
    issued_at = serializers.DateTimeField()
    certification = CertificationOutput()


class ManifestOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    version = serializers.CharField()
    basis = serializers.ChoiceField(BASES)
    certification = CertificationOutput(allow_null=True)
    digest = serializers.CharField(help_text="SHA-256 of `report` as canonical JSON.")
    report = serializers.DictField(help_text="The evaluation report: settings, layers, documents, every arm.")


class MatchOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    version = serializers.CharField()
    source_model = serializers.CharField()
    target_model = serializers.CharField()
    basis = serializers.ChoiceField(BASES)
    certification = CertificationOutput(allow_null=True)
    yanked = serializers.BooleanField()
    url = serializers.CharField()


class VerificationOutput(serializers.Serializer[Any]):
    valid = serializers.BooleanField(help_text="Whether an unyanked version has exactly this file.")
    digest = serializers.CharField()
    matches = MatchOutput(many=True)


class MeanEpsilonOutput(serializers.Serializer[Any]):
    basis = serializers.ChoiceField(BASES)
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


class VersionCompatibilityOutput(serializers.Serializer[Any]):
    required = serializers.CharField()  # type: ignore[assignment]  # declared fields never become attributes
    available = serializers.CharField()
    compatible = serializers.BooleanField()


class TierOutput(serializers.Serializer[Any]):
    tier = serializers.CharField()
    max_epsilon = serializers.FloatField(allow_null=True, help_text="Null: no ceiling beyond the contract's rule.")
    description = serializers.CharField()


class GradeOutput(serializers.Serializer[Any]):
    grade = serializers.CharField()
    max_epsilon = serializers.FloatField(allow_null=True)


class CertificationTiersOutput(serializers.Serializer[Any]):
    tiers = TierOutput(many=True)
    grades = GradeOutput(many=True)
    valid_for_days = serializers.IntegerField()
    rule = serializers.CharField()


class CompatibleTargetOutput(serializers.Serializer[Any]):
    target_model = serializers.CharField()
    listing_id = serializers.CharField()
    version = serializers.CharField()
    basis = serializers.ChoiceField(BASES)
    epsilon = serializers.FloatField()
    retention = IntervalOutput(allow_null=True)
    certification = CertificationOutput(allow_null=True)
    url = serializers.CharField()


class CompatibleOutput(serializers.Serializer[Any]):
    source_model = serializers.CharField()
    targets = CompatibleTargetOutput(many=True)
