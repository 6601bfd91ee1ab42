"""REST for wallets: what the acting agent owns, and its statements. Nobody else sees them."""

from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, permission_classes, renderer_classes
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.protocol.errors import InvalidInput
from latentmas.rest.answers import CSVRenderer, private
from latentmas.rest.cursors import address_of
from latentmas.rest.endpoints import problems
from latentmas.rest.money import MoneyOutput, shown_money
from latentmas.rest.parameters import StrictSerializer, read_query
from latentmas.rest.permissions import ReadWallets
from marketplace.agents.queries import acting_agent
from marketplace.ledger.accounts import wallet
from marketplace.ledger.balances import Holdings, holdings_of
from marketplace.ledger.csv_statements import LINE_COLUMNS, csv_statement
from marketplace.ledger.events import Purpose
from marketplace.ledger.statements import Line, Period, statement_page

MAX_LIMIT = 100
DEFAULT_LIMIT = 25


class StatementInput(StrictSerializer):
    currency = serializers.RegexField(r"^[A-Z]{3}\Z", help_text="Of the wallet, such as USD.")
    since = serializers.DateTimeField(required=False, help_text="Only what was recorded then or later.")
    until = serializers.DateTimeField(required=False, help_text="Only what was recorded before.")
    format = serializers.ChoiceField(["json", "csv"], required=False, help_text="Instead of `Accept`.")
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, required=False, help_text="Of a page of JSON.")
    cursor = serializers.CharField(required=False)


class WalletOutput(serializers.Serializer[Any]):
    currency = serializers.CharField()
    balance = MoneyOutput(help_text="What can be spent; below zero only after a refund or a charge-back.")
    held = MoneyOutput(help_text="Set aside for purchases that are not settled yet.")
    disputed = MoneyOutput(help_text="Set aside while buyers dispute sales; it comes back, or goes back to them.")
    paying_out = MoneyOutput(help_text="Set aside for payouts that are not paid yet.")


class WalletsOutput(serializers.Serializer[Any]):
    agent_id = serializers.CharField()
    wallets = WalletOutput(many=True, help_text="By currency; there is none before money has come in.")


class StatementLineOutput(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    purpose = serializers.ChoiceField([each.value for each in Purpose])
    counterparty = serializers.CharField(help_text="The kind of account on the other side, such as `hold`.")
    stream = serializers.CharField(help_text="What it moved for, such as `top-up/...`.")
    amount = serializers.IntegerField(help_text="Minor units; below zero where they left the wallet.")
    balance = serializers.IntegerField(help_text="After it.")


class StatementOutput(serializers.Serializer[Any]):
    agent_id = serializers.CharField()
    currency = serializers.CharField()
    opening = MoneyOutput(help_text="Before the first line of this page.")
    closing = MoneyOutput(help_text="The opening balance and the amounts of all lines of this page.")
    results = StatementLineOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    next = serializers.CharField(allow_null=True)


@extend_schema(operation_id="wallet_retrieve", responses={200: WalletsOutput, **problems(404, 409)})
@api_view(["GET"])
@permission_classes([ReadWallets])
def wallets(request: Request) -> Response:
    """Return the wallets of the agent that acts: what each holds, and what is set aside of it."""
    agent = acting_agent(request)
    return private(Response({"agent_id": agent.id, "wallets": [_wallet(each) for each in holdings_of(agent.id)]}))


@extend_schema(
    operation_id="wallet_statement",
    parameters=[StatementInput],
    responses={
        (200, "application/json"): StatementOutput,
        (200, "text/csv"): OpenApiTypes.STR,
        **problems(404, 409),
    },
)
@api_view(["GET"])
@permission_classes([ReadWallets])
@renderer_classes([JSONRenderer, CSVRenderer])
def statement(request: Request) -> HttpResponseBase:
    """Return what came and went in one wallet, oldest first: JSON page by page, or all of a period as CSV."""
    wanted = read_query(request, StatementInput)
    agent_id, currency = acting_agent(request).id, wanted["currency"]
    account, period = wallet(agent_id, currency), Period(wanted.get("since"), wanted.get("until"))
    response: HttpResponseBase
    if request.accepted_renderer.format == CSVRenderer.format:
        if given := [name for name in ("limit", "cursor") if name in wanted]:
            raise InvalidInput(f"CSV has all lines of a period at once; leave {given[0]} out", field=given[0])
        response = csv_statement(account, period)
    else:
        page = statement_page(account, period, limit=wanted.get("limit", DEFAULT_LIMIT), cursor=wanted.get("cursor"))
        response = Response(
            {
                "agent_id": agent_id,
                "currency": currency,
                "opening": shown_money(page.opening, currency),
                "closing": shown_money(page.closing, currency),
                "results": [_line(line) for line in page.lines],
                "next_cursor": page.next_cursor,
                "next": None if page.next_cursor is None else address_of(request, page.next_cursor),
            }
        )
    return private(response)


def _wallet(each: Holdings) -> dict[str, Any]:
    amounts = {name: getattr(each, name) for name in ("balance", "held", "disputed", "paying_out")}
    return {"currency": each.currency} | {name: shown_money(amount, each.currency) for name, amount in amounts.items()}


def _line(line: Line) -> dict[str, Any]:
    return {name: getattr(line, name) for name in LINE_COLUMNS}
