"""REST for reputation: how an agent stands, and by which figures scores and bonuses come about."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.rest.answers import private
from latentmas.rest.endpoints import ANYBODY, problems, reading
from marketplace.agents.queries import get_agent
from marketplace.configurations.answers import ConfigurationOutput, configuration_answer
from marketplace.listings.visibility import viewer_of
from marketplace.reputation.configurations import INCENTIVES
from marketplace.reputation.outputs import CreditOutput, credit_document
from marketplace.reputation.queries import standing_of


@extend_schema(operation_id="agents_credit", auth=ANYBODY, responses={200: CreditOutput, **problems(404)})
@api_view(["GET"])
@permission_classes([AllowAny])
def credit(request: Request, agent_id: str) -> Response:
    """Return an agent's credit score, how it comes about, and the record that it rests on."""
    agent, viewer = get_agent(agent_id), viewer_of(request)
    own = agent.id in viewer.agents or viewer.curator
    response = Response(credit_document(standing_of(agent.id), own=own))
    return private(response) if own else response


@reading("bonuses_configuration", answer=ConfigurationOutput)
def bonuses(request: Request) -> Response:
    """Return the bonus configuration in force: which sales the platform gives a part of its share back for."""
    del request
    return configuration_answer(INCENTIVES)
