"""REST for purchases: buy with a quote, look at what was bought or sold, get the file and the receipt, refund."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.idempotency.keys import PARAMETER, idempotent
from latentmas.protocol.errors import NotFound
from latentmas.rest.answers import private
from latentmas.rest.conditional import IF_MATCH, expected_version, versioned
from latentmas.rest.downloads import send_file
from latentmas.rest.endpoints import FILE, PROBLEM, problems
from latentmas.rest.parameters import StrictSerializer, object_in, read, read_query
from latentmas.rest.permissions import AdministerMarketplace, ScopePermission, WritePurchases
from latentmas.rest.problems import with_headers
from latentmas.rest.uploads import BoundedJSONParser
from marketplace.agents.api import metadata_of
from marketplace.agents.errors import AgentRequired
from marketplace.agents.queries import acting_agent, owner_name
from marketplace.ledger.own_money import check_not_own
from marketplace.sales import queries
from marketplace.sales.commands import refund_sale
from marketplace.sales.delivering import file_of
from marketplace.sales.errors import NotTheSeller
from marketplace.sales.events import RefundReason
from marketplace.sales.models import Sale
from marketplace.sales.outputs import PurchaseDetailOutput, PurchasesOutput, report_of, sale_document
from marketplace.sales.paying import PAYMENT, buyer_in, paid
from marketplace.sales.purchasing import buy
from marketplace.sales.quotes import MAX_TOKEN
from marketplace.sales.receipts import ReceiptOutput, receipt_document

MAX_LIMIT, DEFAULT_LIMIT = 100, 25
MAX_AMOUNT = 10**12


class PurchasesOrCuration(ScopePermission):
    """Asks for `purchases:write`, or for a curator's scope."""

    scope = WritePurchases.scope

    def has_permission(self, request: Request, view: Any) -> bool:
        return AdministerMarketplace().has_permission(request, view) or super().has_permission(request, view)


class PurchaseInput(StrictSerializer):
    quote = serializers.CharField(max_length=MAX_TOKEN, help_text="The token of a quote, as it came.")


class PurchasesInput(StrictSerializer):
    sold = serializers.BooleanField(default=False, help_text="What your agent has sold, instead of what it has bought.")
    before = serializers.DateTimeField(required=False, help_text="Only those opened before: the last one's opened_at.")
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)


class RefundInput(StrictSerializer):
    amount = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_AMOUNT, help_text="Minor units; all that is left by default."
    )
    reason = serializers.ChoiceField([reason.value for reason in RefundReason])


@extend_schema(
    methods=["GET"],
    operation_id="purchases_list",
    parameters=[PurchasesInput],
    responses={200: PurchasesOutput, **problems(403, 409)},
)
@extend_schema(
    methods=["POST"],
    operation_id="purchases_create",
    parameters=[PARAMETER, *PAYMENT],
    request=PurchaseInput,
    responses={201: PurchaseDetailOutput, 200: PurchaseDetailOutput, **problems(402, 404, 410, 504)},
)
@api_view(["GET", "POST"])
@permission_classes([WritePurchases])
@parser_classes([BoundedJSONParser])
@idempotent(atomic=False)  # the artefact is prepared between two transactions; a quote buys once anyway
def purchases(request: Request) -> Response:
    """List what your agent has bought or sold, newest first, or buy with a quote; the same quote again buys nothing."""
    agent = acting_agent(request).id
    if request.method == "GET":
        wanted = read_query(request, PurchasesInput)
        rows = queries.sales_of(agent, as_seller=wanted["sold"], before=wanted.get("before"), limit=wanted["limit"])
        return private(Response({"results": [sale_document(row, as_buyer=row.buyer == agent) for row in rows]}))
    return purchase_answer(request, read(object_in(request), PurchaseInput)["quote"])


@extend_schema(operation_id="purchases_retrieve", responses={200: PurchaseDetailOutput, **problems(409, 507)})
@api_view(["GET"])
@permission_classes([PurchasesOrCuration])
def purchase(request: Request, sale_id: str) -> Response:
    """Return a purchase or a sale of your agent's; its file and what was delivered are shown to the buyer alone."""
    row, agent = _sale_in(request, sale_id)
    return _answer(row, agent)


@extend_schema(operation_id="purchases_file", responses={**FILE, **problems(403, 404, 409, 410)})
@api_view(["GET", "HEAD"])
@permission_classes([WritePurchases])
def file(request: Request, sale_id: str) -> HttpResponseBase:
    """Download what your agent has bought; no cache keeps it."""
    agent = acting_agent(request).id
    row = queries.sale_of_party(sale_id, [agent])
    if row.buyer != agent:
        raise NotFound("what was delivered is its buyer's alone")
    sold = file_of(row)
    return send_file(request._request, digest=sold.digest, size=sold.size, name=sold.name, private=True)


@extend_schema(operation_id="purchases_receipt", responses={200: ReceiptOutput, **problems(409, 503)})
@api_view(["GET"])
@permission_classes([PurchasesOrCuration])
def receipt(request: Request, sale_id: str) -> Response:
    """Return the signed receipt of a captured sale, and what proves its event in the log, to buyer and seller."""
    row, _ = _sale_in(request, sale_id)
    return private(Response(receipt_document(row.id, metadata=metadata_of(request))))


@extend_schema(
    operation_id="purchases_refund",
    parameters=[PARAMETER, IF_MATCH],
    request=RefundInput,
    responses={200: PurchaseDetailOutput, **PROBLEM},
)
@api_view(["POST"])
@permission_classes([PurchasesOrCuration])
@parser_classes([BoundedJSONParser])
@idempotent()
def refund(request: Request, sale_id: str) -> Response:
    """Give the buyer the price back, or a part of it, as the seller or a curator (`If-Match`)."""
    row, agent = _sale_in(request, sale_id)
    curator = AdministerMarketplace().has_permission(request, None)
    if not curator and row.seller != agent:
        raise NotTheSeller("only the seller or a curator refunds a sale")
    by_curator = curator and row.seller != agent
    if by_curator:
        check_not_own(row.buyer, owner_name(cast(User, request.user)))
    wanted = read(object_in(request), RefundInput)
    refund_sale(
        row.id,
        amount=wanted.get("amount"),
        reason=RefundReason(wanted["reason"]),
        by_curator=by_curator,
        metadata=metadata_of(request),
        expected=expected_version(request),
    )
    return _answer(Sale.objects.get(id=row.id), agent)


def purchase_answer(request: Request, token: str) -> Response:
    """Buy what a quote is for as the acting agent, and return the response with the purchase.

    Raises as `buy` and `paid` do.
    """
    buyer = buyer_in(request)
    (sale, new), headers = paid(request, lambda: buy(token, buyer=buyer, metadata=metadata_of(request)))
    response = _answer(Sale.objects.get(id=sale), buyer.agent, status=201 if new else 200)
    response["Location"] = f"/api/purchases/{sale}"
    return with_headers(response, headers)


def _sale_in(request: Request, sale_id: str) -> tuple[Sale, str | None]:
    """Return a sale that the request may see, and the agent it acts for; a curator may see any, and needs no agent."""
    curator = AdministerMarketplace().has_permission(request, None)
    try:
        agent = acting_agent(request).id
    except AgentRequired:
        if not curator:
            raise
        agent = None
    return queries.sale_of_party(sale_id, [] if agent is None else [agent], curator=curator), agent


def _answer(row: Sale, agent: str | None, *, status: int = 200) -> Response:
    mine = row.buyer == agent
    document = sale_document(row, as_buyer=mine) | {"report": report_of(row) if mine else None}
    return private(versioned(Response(document, status=status), row.stream_version))
