"""Pay a price where it is met: by an x402 payment that comes with the request which met it.

1. The request meets a price. Where x402 is offered, the 402 has its terms: what the wallet lacks for a purchase, and
   the whole price where there is no quote yet, as at a download.
2. Sent again with PAYMENT-SIGNATURE, the payment is verified, settled and put into the buyer's wallet as a top-up.
3. What was asked for is bought, within the token's mandate, and answered. If that fails the money is in the wallet, and
   the error says so.

An authorisation makes one top-up and, at a download, one sale: the ids of both follow from it, and the top-up's events
are correlated with that sale. So a request that is sent again finds what became of the first one, what is not known yet
stays so without a second charge, and in any other request the authorisation is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import NoReturn, TypeVar
from uuid import NAMESPACE_URL, uuid5

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request

from latentmas.events.commands import load
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput, LatentMASError
from latentmas.rest.permissions import WritePurchases
from marketplace.agents.api import metadata_of
from marketplace.agents.errors import AgentIsSuspended, AgentRequired
from marketplace.agents.models import Agent
from marketplace.agents.queries import acting_agent
from marketplace.ledger.accounts import wallet
from marketplace.ledger.balances import balance_of
from marketplace.ledger.errors import InsufficientFunds
from marketplace.payments.errors import PaymentRefused, PaymentReplayed, X402PaymentRequired
from marketplace.payments.gateways.interface import Gateway, Wanted
from marketplace.payments.gateways.offered import offered
from marketplace.payments.gateways.x402 import REQUIRED_HEADER, RESPONSE_HEADER, X402
from marketplace.payments.gateways.x402_terms import SIGNATURE
from marketplace.payments.settling import Settled, check_settled, settle
from marketplace.payments.top_up_commands import check_amount
from marketplace.sales.aggregate import SALE
from marketplace.sales.commands import Buyer, Spender, check_purchase
from marketplace.sales.errors import PaymentRequired
from marketplace.sales.goods import Delivery, Kind
from marketplace.sales.purchasing import buy
from marketplace.sales.quotes import Quote, quote, sealed

Done = TypeVar("Done")
Met = InsufficientFunds | PaymentRequired
# Of every operation that can be paid for where it is called.
PAYMENT = [
    OpenApiParameter(
        SIGNATURE,
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        description="The signed x402 payment that a 402 asks for, as base64 of its JSON.",
    ),
    OpenApiParameter(
        REQUIRED_HEADER,
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[402],
        description="What x402 would pay it, as base64 of its JSON; where x402 is offered.",
    ),
    OpenApiParameter(
        RESPONSE_HEADER,
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[200, 201],
        description="How the facilitator has settled the payment, as base64 of its JSON.",
    ),
]


@dataclass(frozen=True, slots=True)
class Payer:
    """Who may pay for a request, and by what: `wanted` has its payment, or lacks one."""

    agent: Agent
    buyer: Buyer
    gateway: Gateway
    wanted: Wanted
    metadata: Metadata


def paid(request: Request, work: Callable[[], Done]) -> tuple[Done, Mapping[str, str]]:
    """Return what `work` returns, paid for by the request's payment where it meets a price, and the answer's headers.

    Raises what `work` does: a price that is met with the terms of x402 where they are offered to this request. With a
    payment also PaymentRefused, PaymentReplayed, PaymentUnsettled, GatewayAway, InvalidInput, what a purchase raises,
    and NotAuthenticated, PermissionDenied or AgentRequired where nobody may buy.
    """
    try:
        return work(), {}
    except (InsufficientFunds, PaymentRequired) as error:
        met: Met = error
    payer = _payer(request, met)
    if payer.wanted.header is None:
        _ask(payer, met)
    made = _quote(payer, met) if isinstance(met, PaymentRequired) else None
    settled = _settled(payer, made)
    sale = None
    try:
        if made is not None:
            sale = buy(sealed(made), buyer=payer.buyer, metadata=payer.metadata)[0]
        return work(), settled.headers
    except LatentMASError as error:
        _tell_of(error, settled, sale)
        raise


def buyer_in(request: Request) -> Buyer:
    """Return who buys: the acting agent, and the token with its mandate; a session and other tokens have no limits.

    Raises what `acting_agent` does.
    """
    mandate = getattr(request.auth, "mandate", None)
    spender = None if mandate is None else Spender(str(request.auth.pk), mandate)
    return Buyer(acting_agent(request).id, spender)


def _payer(request: Request, met: Met) -> Payer:
    """Return who may pay for the request.

    Raises `met` where x402 does not pay that, or nobody may and there is no payment.
    """
    amount = met.price if isinstance(met, PaymentRequired) else met.missing
    gateway = offered().get(X402)
    if gateway is None:
        raise met
    header = None if request.method == "HEAD" else request.headers.get(SIGNATURE)
    wanted = Wanted(amount, header, resource=request.build_absolute_uri(request.path))
    if not _terms(gateway, wanted):
        raise met
    try:
        _require_buyer(request)
        return Payer(acting_agent(request), buyer_in(request), gateway, wanted, metadata_of(request))
    except (NotAuthenticated, PermissionDenied, AgentRequired, AgentIsSuspended):
        if header is None:
            raise met from None
        raise


def _require_buyer(request: Request) -> None:
    """Raises NotAuthenticated or PermissionDenied."""
    permission = WritePurchases()
    if not permission.has_permission(request, None):
        if not request.user.is_authenticated:
            raise NotAuthenticated("a payment goes into an agent's wallet; send the token of one")
        raise PermissionDenied(permission.message)


def _terms(gateway: Gateway, wanted: Wanted) -> X402PaymentRequired | None:
    """Return what would pay the amount; None where the gateway has another currency, or does not pay so much."""
    try:
        check_amount(wanted.amount)
        gateway.prepare(replace(wanted, header=None))
    except X402PaymentRequired as terms:
        return terms
    except InvalidInput:
        return None
    return None


def _ask(payer: Payer, met: Met) -> NoReturn:
    """Raise the price with the terms of x402.

    Without them where the wallet covers a price that nobody has agreed to pay yet: there is nothing to pay in. Raises
    PaymentUnsettled while an earlier payment may still come in.
    """
    check_settled(payer.agent, payer.gateway.name)
    amount = payer.wanted.amount
    if isinstance(met, PaymentRequired):
        if balance_of(wallet(payer.agent.id, amount.currency)) >= amount.amount:
            raise met
        met.facts = {**met.facts, "accepts": ["wallet", X402]}
    _add_terms(met, payer)
    raise met


def _add_terms(error: LatentMASError, payer: Payer) -> None:
    """Let an error say what x402 would pay."""
    terms = _terms(payer.gateway, payer.wanted)
    assert terms is not None  # else there is no payer
    error.headers, error.members = terms.headers, terms.members
    error.advice = f"{error.advice} Or pay at once by x402: {terms.resolution}"


def _quote(payer: Payer, met: PaymentRequired) -> Quote:
    """Return a quote of what has the price, under the one id that this payment can buy it under.

    Raises what quotes and mandates refuse, and PaymentReplayed where it has bought it before.
    """
    payment = _refusing(payer, lambda: payer.gateway.prepare(payer.wanted)).top_up_id
    made = quote(Kind(met.kind), met.item, version=met.version, delivery=Delivery(), buyer=payer.buyer.agent).quote
    made = replace(made, id=str(uuid5(NAMESPACE_URL, f"x402:{payment}:{met.kind}:{met.item}:{met.version}")))
    if load(SALE, made.id)[0].opened is not None:
        raise PaymentReplayed("this authorisation has bought this before", purchase=f"/api/purchases/{made.id}")
    check_purchase(made, payer.buyer, at=timezone.now())
    return made


def _settled(payer: Payer, made: Quote | None) -> Settled:
    """Return the payment, which has come into the wallet. Raises what `settle` does."""
    metadata = payer.metadata if made is None else replace(payer.metadata, correlation_id=SALE.stream(made.id))
    return _refusing(payer, lambda: settle(payer.agent, payer.gateway, payer.wanted, metadata=metadata))


def _refusing(payer: Payer, work: Callable[[], Done]) -> Done:
    """Return what the work does. A payment that it refuses before anything is settled is told what would do."""
    try:
        return work()
    except PaymentRefused as refused:
        if not refused.headers:
            _add_terms(refused, payer)
        raise


def _tell_of(error: LatentMASError, settled: Settled, sale: str | None) -> None:
    """Let an error say that the payment is in the wallet, or which sale it has paid."""
    amount = settled.amount
    spent = "it is the wallet's" if sale is None else f"it has paid the purchase {sale}"
    error.message = f"{error.message}. The payment of {amount.amount} {amount.currency} was settled; {spent}"
    paid = {"amount": asdict(amount), "top_up": settled.address}
    error.facts = {**error.facts, "paid": paid | ({} if sale is None else {"purchase": f"/api/purchases/{sale}"})}
    error.headers = {**error.headers, **settled.headers}
