"""REST for top-ups: begin one, and see what has become of one's own."""

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.events.types import Metadata
from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.protocol.money import Money
from latentmas.rest.answers import private
from latentmas.rest.cursors import page_document, page_of
from latentmas.rest.endpoints import example, problems
from latentmas.rest.parameters import object_in, read, read_query
from latentmas.rest.permissions import ReadOrWrite, ReadWallets, WriteTopUps, requester
from latentmas.rest.problems import with_headers
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.queries import acting_agent
from marketplace.payments import queries
from marketplace.payments.gateways.interface import Outcome, Wanted
from marketplace.payments.gateways.offered import gateway_named
from marketplace.payments.gateways.x402_terms import SIGNATURE
from marketplace.payments.inputs import NewTopUpOutput, PageInput, TopUpInput, TopUpOutput, TopUpsOutput, shown_top_up
from marketplace.payments.top_up_commands import request_top_up, require_taken

ORDER = ("requested_at", "id")
X402_HEADER = OpenApiParameter(
    SIGNATURE,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="With the gateway `x402`: the signed payment, as base64 of its JSON.",
)


class ReadOrTopUp(ReadOrWrite):
    reading, writing = ReadWallets, WriteTopUps


@extend_schema(
    methods=["GET"], operation_id="top_ups_list", parameters=[PageInput], responses={200: TopUpsOutput, **problems(409)}
)
@extend_schema(
    methods=["POST"],
    operation_id="top_ups_create",
    parameters=[PARAMETER, X402_HEADER],
    request=TopUpInput,
    examples=example({"amount": 5000, "currency": "USD", "gateway": "manual"}),
    responses={201: NewTopUpOutput, **problems(402)},
)
@api_view(["GET", "POST"])
@permission_classes([ReadOrTopUp])
@parser_classes([BoundedJSONParser])
@idempotent(keep=False, atomic=False)
def top_ups(request: Request) -> HttpResponseBase:
    """List the acting agent's top-ups, the oldest first, or begin one."""
    agent = acting_agent(request)
    if request.method == "GET":
        wanted = read_query(request, PageInput)
        page = page_of(queries.top_ups_of(agent.id), order=ORDER, limit=wanted["limit"], cursor=wanted.get("cursor"))
        return private(Response(page_document(request, page, shown_top_up)))
    wanted = read(object_in(request), TopUpInput)
    top_up_id, outcome = request_top_up(
        agent,
        gateway_named(wanted["gateway"]),
        Wanted(Money(wanted["amount"], wanted["currency"]), request.headers.get(SIGNATURE)),
        metadata=Metadata(actor=requester(request)),
    )
    return _begun(agent.id, top_up_id, outcome)


@extend_schema(operation_id="top_ups_retrieve", responses={200: TopUpOutput, **problems(409)})
@api_view(["GET"])
@permission_classes([ReadWallets])
def top_up(request: Request, top_up_id: str) -> Response:
    """Return one of the acting agent's top-ups."""
    return private(Response(shown_top_up(queries.get_top_up(acting_agent(request).id, top_up_id))))


def _begun(agent_id: str, top_up_id: str, outcome: Outcome) -> HttpResponseBase:
    """Return the answer to a new top-up. Raises PaymentRefused for one that its gateway has refused."""
    require_taken(top_up_id, outcome)
    row = queries.get_top_up(agent_id, top_up_id)
    response = private(Response(shown_top_up(row) | {"next_step": outcome.next_step}, status=201))
    response["Location"] = f"/api/top-ups/{top_up_id}"
    return with_headers(response, outcome.headers)
