"""REST for the price configuration: everybody may know how prices come about."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.rest.conditional import versioned
from latentmas.rest.endpoints import reading
from marketplace.pricing.commands import in_force
from marketplace.pricing.configuration import SETTINGS


class PricingOutput(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="0 is the specification's own; quotes name it.")
    settings = serializers.DictField(
        child=serializers.IntegerField(), help_text=f"Those of docs/pricing.md: {', '.join(SETTINGS)}."
    )


@reading("pricing_retrieve", answer=PricingOutput)
def pricing(request: Request) -> Response:
    """Return the price configuration in force: weights, bounds, shares and durations."""
    del request
    now = in_force()
    return versioned(Response({"version": now.version, "settings": asdict(now.configuration)}), now.version)
