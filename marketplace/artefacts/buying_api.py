"""REST for buyers: a quote for an artefact, its use, and which segments of a long-term memory a query would choose."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.downloads import send_file
from latentmas.rest.endpoints import FILE, problems
from latentmas.rest.parameters import StrictSerializer, object_in, read, read_query
from latentmas.rest.permissions import WritePurchases
from latentmas.rest.problems import with_headers
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.artefacts import inputs, outputs, queries
from marketplace.artefacts.entitled import entitled_file
from marketplace.artefacts.segments import chosen_segments
from marketplace.artefacts.shelves import Shelf
from marketplace.listings.visibility import viewer_of
from marketplace.sales.deliveries import DeliveryInput
from marketplace.sales.outputs import PurchaseDetailOutput, QuoteOutput
from marketplace.sales.paying import PAYMENT, paid
from marketplace.sales.purchases_api import PurchaseInput, purchase_answer
from marketplace.sales.quotes import opened
from marketplace.sales.quotes_api import quote_answer


class ArtefactQuoteInput(StrictSerializer):
    version = serializers.CharField(max_length=32, required=False, help_text="By default the newest one on offer.")
    delivery = DeliveryInput(required=False)


def quote(shelf: Shelf) -> Any:
    """The view of a quote."""

    @extend_schema(
        operation_id=f"{shelf.prefix}_quote",
        request=ArtefactQuoteInput,
        responses={200: QuoteOutput} | problems(404, 410),
    )
    @api_view(["POST"])
    @permission_classes([WritePurchases])
    @parser_classes([BoundedJSONParser])
    def view(request: Request, artefact_id: str) -> Response:
        """Say what one delivery costs your agent for the next minutes, and how the price comes about."""
        return quote_answer(request, shelf.kind, artefact_id, read(object_in(request), ArtefactQuoteInput))

    return view


def use(shelf: Shelf) -> Any:
    """The view of a use: a purchase with a quote for exactly this."""

    @extend_schema(
        operation_id=f"{shelf.prefix}_use",
        parameters=[PARAMETER, *PAYMENT],
        request=PurchaseInput,
        responses={201: PurchaseDetailOutput, 200: PurchaseDetailOutput} | problems(402, 404, 410, 504),
    )
    @api_view(["POST"])
    @permission_classes([WritePurchases])
    @parser_classes([BoundedJSONParser])
    @idempotent(atomic=False)  # the artefact is prepared between two transactions; a quote buys once anyway
    def view(request: Request, artefact_id: str) -> Response:
        """Buy one delivery with a quote, and say where its file is; the same quote again buys nothing."""
        token = read(object_in(request), PurchaseInput)["quote"]
        offer = opened(token).offer
        if (offer.kind, offer.item) != (shelf.kind, artefact_id):
            raise InvalidInput(
                f"the quote is for the {offer.kind.value} {offer.item}",
                resolution="Use it there, or take a quote of this one.",
                field="quote",
            )
        return purchase_answer(request, token)

    return view


def select(shelf: Shelf) -> Any:
    """The view of a selection."""

    @extend_schema(
        operation_id=f"{shelf.prefix}_select",
        request=inputs.SelectInput,
        responses={200: outputs.SelectionOutput} | problems(404, 410),
    )
    @api_view(["POST"])
    @permission_classes([WritePurchases])
    @parser_classes([BoundedJSONParser])
    def view(request: Request, artefact_id: str) -> Response:
        """Show which segments a query would choose within a budget: ids, tokens and relevance, never the content."""
        wanted = read(object_in(request), inputs.SelectInput)
        row = queries.get_artefact(shelf.kind, artefact_id, viewer_of(request))
        version = queries.offered_version(row, wanted.get("version"))
        chosen = chosen_segments(version, query=wanted.get("query"), token_budget=wanted.get("token_budget"))
        return Response(outputs.selection(version, chosen))

    return view


def file(shelf: Shelf) -> Any:
    """The view of a file that a purchase covers, in every version of the major version that was bought."""

    @extend_schema(
        operation_id=f"{shelf.prefix}_file",
        parameters=[inputs.VersionQuery, *PAYMENT],
        responses=FILE | problems(402, 403, 404, 409, 410),
    )
    @api_view(["GET", "HEAD"])
    @permission_classes([WritePurchases])
    def view(request: Request, artefact_id: str) -> HttpResponseBase:
        """Download a version that your agent has bought or sells; no cache keeps it."""
        viewer = viewer_of(request)
        row = queries.get_artefact(shelf.kind, artefact_id, viewer)
        version = queries.offered_version(row, read_query(request, inputs.VersionQuery).get("version"))
        sent, headers = paid(request, lambda: entitled_file(row, version, viewer))
        answer = send_file(request._request, digest=sent.digest, size=sent.size, name=sent.name, private=True)
        return with_headers(answer, headers)

    return view
