"""REST for quotes: what an item costs an agent, as a token that can be used once."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.rest.endpoints import example, problems
from latentmas.rest.parameters import StrictSerializer, object_in, read
from latentmas.rest.permissions import WritePurchases
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.queries import acting_agent
from marketplace.sales.deliveries import DeliveryInput, delivery_of
from marketplace.sales.goods import Kind
from marketplace.sales.models import KINDS
from marketplace.sales.outputs import QuoteOutput, quote_document
from marketplace.sales.quotes import quote

MAX_ITEM, MAX_VERSION = 100, 32


class QuoteInput(StrictSerializer):
    kind = serializers.ChoiceField(KINDS)
    item = serializers.CharField(max_length=MAX_ITEM, help_text="Its id: of a W-Matrix, that of its listing.")
    version = serializers.CharField(max_length=MAX_VERSION, required=False, help_text="The newest by default.")
    delivery = DeliveryInput(required=False)


@extend_schema(
    operation_id="quotes_create",
    request=QuoteInput,
    examples=example({"kind": "w-matrix", "item": "1f0b1b5e-0000-4000-8000-000000000001", "version": "1.0.0"}),
    responses={200: QuoteOutput, **problems(404, 410)},
)
@api_view(["POST"])
@permission_classes([WritePurchases])
@parser_classes([BoundedJSONParser])
def quotes(request: Request) -> Response:
    """Say what an item costs your agent for the next minutes, and how the price comes about."""
    wanted = read(object_in(request), QuoteInput)
    return quote_answer(request, Kind(wanted["kind"]), wanted["item"], wanted)


def quote_answer(request: Request, kind: Kind, item: str, wanted: dict[str, object]) -> Response:
    """Return the response with a quote for the acting agent; `wanted` has `version` and `delivery`, or lacks them."""
    quoted = quote(
        kind,
        item,
        version=wanted.get("version"),  # type: ignore[arg-type]  # validated text
        delivery=delivery_of(wanted.get("delivery") or {}),  # type: ignore[arg-type]  # a validated object
        buyer=acting_agent(request).id,
    )
    response = Response(quote_document(quoted))
    response["Cache-Control"] = "no-store"
    return response
