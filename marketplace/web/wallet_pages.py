"""The wallet of an agent: balances, the balance over time, its statement, top-ups and payouts."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST, require_safe

from latentmas.protocol.errors import InvalidInput, LatentMASError, NotFound
from marketplace.agents.models import Agent
from marketplace.ledger.accounts import wallet as account_of
from marketplace.ledger.balances import Holdings, holdings_of
from marketplace.ledger.csv_statements import csv_statement
from marketplace.ledger.statements import Period, newest_page
from marketplace.payments.gateways.interface import Outcome, Verdict, Wanted
from marketplace.payments.gateways.offered import gateway_named
from marketplace.payments.payout_aggregate import PayoutStatus
from marketplace.payments.payout_commands import cancel_payout, request_payout
from marketplace.payments.queries import destinations_of, get_payout, masked, payouts_of, top_ups_of
from marketplace.payments.top_up_commands import request_top_up
from marketplace.sales.aggregate import SALE
from marketplace.sales.queries import sales_among
from marketplace.web.acting import for_agent, metadata_of, own_agents
from marketplace.web.balance_chart import balance_chart
from marketplace.web.forms import blame
from marketplace.web.views import ROWS
from marketplace.web.wallet_forms import PayoutForm, TopUpForm

NEWEST = 10  # top-ups and payouts that are shown
DRAWN = 300  # movements
SALES = SALE.stream("")


@dataclass(frozen=True, slots=True)
class Forms:
    """The page's forms, where one was sent with what was wrong."""

    top_up: TopUpForm
    payout: PayoutForm


@require_safe
@for_agent
def wallet(request: HttpRequest, agent: Agent) -> HttpResponse:
    """Show what an agent owns, and how it came and went."""
    holdings = holdings_of(agent.id)
    return _page(request, agent, holdings, Forms(TopUpForm(), PayoutForm(holdings, _newest_payout(agent))))


@require_safe
@for_agent
def statement(request: HttpRequest, agent: Agent) -> HttpResponseBase:
    """Download the whole statement of one wallet as CSV."""
    currency = _currency_in(request, holdings_of(agent.id))
    if currency is None:
        raise Http404("this agent has no wallet")
    return csv_statement(account_of(agent.id, currency), Period())


@require_POST
@for_agent
def top_up(request: HttpRequest, agent: Agent) -> HttpResponse:
    """Begin a top-up, and say what the payer does now."""
    form = TopUpForm(request.POST)
    if form.is_valid():
        try:
            gateway = gateway_named(form.cleaned_data["gateway"])
            made, outcome = request_top_up(agent, gateway, Wanted(form.money()), metadata=metadata_of(request))
        except LatentMASError as error:
            blame(form, error)
        else:
            _tell(request, made, outcome)
            return _back(agent)
    holdings = holdings_of(agent.id)
    return _page(request, agent, holdings, Forms(form, PayoutForm(holdings, _newest_payout(agent))))


@require_POST
@for_agent
def payout(request: HttpRequest, agent: Agent) -> HttpResponse:
    """Ask for a payout, which sets its amount aside."""
    holdings = holdings_of(agent.id)
    form = PayoutForm(holdings, _newest_payout(agent), request.POST)
    if form.is_valid():
        destination = form.cleaned_data["destination"]
        try:
            request_payout(agent, form.money(), destination=destination, metadata=metadata_of(request))
        except LatentMASError as error:
            blame(form, error)
        else:
            messages.success(request, "Your payout waits for a curator. Its amount is set aside.")
            return _back(agent)
    return _page(request, agent, holdings, Forms(TopUpForm(), form))


@require_POST
@for_agent
def cancel(request: HttpRequest, agent: Agent, payout_id: str) -> HttpResponse:
    """Take a payout back that no curator has approved."""
    try:
        cancel_payout(get_payout(agent.id, payout_id), metadata=metadata_of(request))
    except NotFound as error:
        raise Http404(error.message) from error
    except LatentMASError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The payout is cancelled, and its amount is in the wallet again.")
    return _back(agent)


def _page(request: HttpRequest, agent: Agent, holdings: list[Holdings], forms: Forms) -> HttpResponse:
    payouts = list(payouts_of(agent.id)[:NEWEST])
    sent_to = destinations_of(payouts)
    context = own_agents(request, agent) | {
        "holdings": holdings,
        "top_ups": list(top_ups_of(agent.id)[:NEWEST]),
        "payouts": [(row, masked(sent_to[row.id]), row.status == PayoutStatus.REQUESTED) for row in payouts],
        "forms": forms,
        "currency": _currency_in(request, holdings),
    }
    if context["currency"] is not None:
        context |= _statement(request, agent, context["currency"])
    return render(request, "wallet.html", context)


def _statement(request: HttpRequest, agent: Agent, currency: str) -> dict[str, Any]:
    """Return one page of a wallet's statement, the newest line first, and the drawing. Raises Http404."""
    account, cursor = account_of(agent.id, currency), request.GET.get("cursor")
    try:
        page = newest_page(account, limit=ROWS, cursor=cursor)
    except InvalidInput as error:
        raise Http404(error.message) from error
    drawn = newest_page(account, limit=DRAWN)
    of_sales = {line.stream.removeprefix(SALES) for line in page.lines if line.stream.startswith(SALES)}
    return {
        "lines": page.lines[::-1],
        "own_sales": sales_among(of_sales, agent.id),
        "next_cursor": page.next_cursor,
        "first": not cursor,
        "chart": balance_chart(drawn, currency, until=timezone.now()) if drawn.lines else None,
        "drawn": len(drawn.lines),
    }


def _currency_in(request: HttpRequest, holdings: list[Holdings]) -> str | None:
    """Return the currency that is asked for, or the first; None without any wallet. Raises Http404."""
    known = [each.currency for each in holdings]
    wanted = request.GET.get("currency") or next(iter(known), None)
    if wanted is not None and wanted not in known:
        raise Http404("this agent has no wallet in that currency")
    return wanted


def _newest_payout(agent: Agent) -> str:
    return payouts_of(agent.id).values_list("id", flat=True).first() or ""


def _tell(request: HttpRequest, top_up_id: str, outcome: Outcome) -> None:
    """Say what the gateway has answered, and what the payer does now."""
    step = outcome.next_step
    if outcome.verdict is Verdict.FAILED:
        messages.error(request, f"The gateway refuses the payment. {outcome.explanation}")
    elif outcome.verdict is Verdict.UNKNOWN:
        messages.warning(request, "The gateway has not answered yet; the list below will say what has become of it.")
    elif step.get("kind") == "page":
        text = 'The gateway waits for you: <a href="{}" rel="noopener">pay on its page</a>.'
        messages.info(request, format_html(text, step["url"]))
    else:
        messages.info(request, f"Now transfer the amount, and name “top-up {top_up_id}” as its purpose.")


def _back(agent: Agent) -> HttpResponse:
    return redirect(f"{reverse('my-wallet')}?agent={agent.id}")
