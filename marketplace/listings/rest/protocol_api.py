"""The protocol's rules over REST: version compatibility and certification tiers."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.protocol.certification import GRADE_CEILINGS, TIER_CEILINGS, TIER_DESCRIPTIONS, Grade, Tier
from latentmas.protocol.versions import is_compatible, parse_version
from latentmas.rest.endpoints import reading
from marketplace.listings.rest import inputs

VALID_FOR_DAYS = 365
RULE = (
    "A certificate is due only where the lower end of the retention interval is above the upper ends of all controls "
    "(wrong document, random W, the target's own tokens with a stranger's memory, a map of those tokens alone) and "
    "above the last eighth of the context given as text. It holds for contexts up to the length at which every "
    "register of its evaluation suite passes; the tier follows from the worst register there, by the lower end of its "
    "interval. Simulated and declared figures are never certified."
)


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


@reading(
    "w_matrices_version_compatibility",
    answer=VersionCompatibilityOutput,
    query=inputs.VersionCompatibilityInput,
)
def version_compatibility(request: Request) -> Response:
    """Say whether an available version can stand in for a required one: same major version, and not older."""
    wanted = inputs.read_query(request, inputs.VersionCompatibilityInput)
    required, available = parse_version(wanted["required"]), parse_version(wanted["available"])
    compatible = is_compatible(required, available)
    return Response({"required": str(required), "available": str(available), "compatible": compatible})


@reading("w_matrices_certification_tiers", answer=CertificationTiersOutput)
def certification_tiers(request: Request) -> Response:
    """Return the tiers and grades with their highest epsilon, and the rule without which none is given."""
    tiers, grades = dict(TIER_CEILINGS), dict(GRADE_CEILINGS)
    return Response(
        {
            "tiers": [
                {"tier": tier.value, "max_epsilon": tiers.get(tier), "description": TIER_DESCRIPTIONS[tier]}
                for tier in Tier
            ],
            "grades": [{"grade": grade.value, "max_epsilon": grades.get(grade)} for grade in Grade],
            "valid_for_days": VALID_FOR_DAYS,
            "rule": RULE,
        }
    )
