"""REST for the price configuration: everybody may know how prices come about."""

from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.rest.endpoints import reading
from marketplace.configurations.answers import ConfigurationOutput, configuration_answer
from marketplace.pricing.commands import PRICING


@reading("pricing_retrieve", answer=ConfigurationOutput)
def pricing(request: Request) -> Response:
    """Return the price configuration in force: weights, bounds, shares and durations."""
    del request
    return configuration_answer(PRICING)
