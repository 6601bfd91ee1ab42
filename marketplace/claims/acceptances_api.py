"""REST for acceptances: name texts before you buy a W-Matrix, and have it measured on them once it is bought."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.rest.answers import private
from latentmas.rest.cursors import page_document, page_of
from latentmas.rest.endpoints import problems
from latentmas.rest.parameters import StrictSerializer, object_in, read, read_query
from latentmas.rest.permissions import WritePurchases
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.api import metadata_of
from marketplace.agents.queries import acting_agent
from marketplace.claims import queries
from marketplace.claims.acceptance_commands import request_acceptance
from marketplace.claims.acceptance_texts import LEAST_TEXTS, MAX_CHARACTERS, MOST_TEXTS
from marketplace.claims.inputs import PartyPageInput
from marketplace.claims.outputs import AcceptanceOutput, AcceptancesOutput, acceptance_document
from marketplace.sales.quotes import MAX_TOKEN, opened

ORDER = ("requested_at", "id")
MAX_LENGTH = 1 << 20  # tokens


class AcceptanceInput(StrictSerializer):
    quote = serializers.CharField(max_length=MAX_TOKEN, help_text="The token of a quote that was not used yet.")
    texts = serializers.ListField(
        child=serializers.CharField(max_length=MAX_CHARACTERS, trim_whitespace=False),
        min_length=LEAST_TEXTS,
        max_length=MOST_TEXTS,
        help_text="Each long enough for the context and 64 tokens more; deleted as soon as they are measured on.",
    )
    length = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_LENGTH,
        help_text="Tokens of context, one of those that the certificate covers; the fewest by default.",
    )


@extend_schema(
    methods=["GET"],
    operation_id="acceptances_list",
    parameters=[PartyPageInput],
    responses={200: AcceptancesOutput, **problems(409)},
)
@extend_schema(
    methods=["POST"],
    operation_id="acceptances_create",
    parameters=[PARAMETER],
    request=AcceptanceInput,
    responses={201: AcceptanceOutput, **problems(404, 410)},
)
@api_view(["GET", "POST"])
@permission_classes([WritePurchases])
@parser_classes([BoundedJSONParser])
@idempotent()
def acceptances(request: Request) -> Response:
    """List what was measured for what your agent buys, or has sold, or name the texts for a purchase to come."""
    agent = acting_agent(request).id
    if request.method == "GET":
        asked = read_query(request, PartyPageInput)
        found = queries.acceptances_of(agent, as_seller=asked["sold"])
        page = page_of(found, order=ORDER, limit=asked["limit"], cursor=asked.get("cursor"))
        return private(Response(page_document(request, page, acceptance_document)))
    wanted = read(object_in(request), AcceptanceInput)
    quote = opened(wanted["quote"])
    request_acceptance(
        quote,
        wanted["texts"],
        buyer=agent,
        length=wanted.get("length"),
        at=timezone.now(),
        metadata=metadata_of(request),
    )
    response = Response(acceptance_document(queries.acceptance_of(agent, quote.id)), status=201)
    response["Location"] = f"/api/acceptances/{quote.id}"
    return private(response)


@extend_schema(operation_id="acceptances_retrieve", responses={200: AcceptanceOutput, **problems(409)})
@api_view(["GET"])
@permission_classes([WritePurchases])
def acceptance(request: Request, acceptance_id: str) -> Response:
    """Return what became of the texts: to the buyer always, to the seller once there is a result."""
    return private(Response(acceptance_document(queries.acceptance_of(acting_agent(request).id, acceptance_id))))
