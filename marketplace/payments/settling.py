"""Pay into a wallet by a payment that came with a request for something else, so that what it asked for can be bought.

A payment whose outcome is not known stops there: it is neither counted nor asked for once more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from latentmas.events.store import read_stream
from latentmas.events.types import Metadata
from latentmas.protocol.money import Money
from marketplace.agents.models import Agent
from marketplace.payments.errors import PaymentReplayed, PaymentUnsettled
from marketplace.payments.gateways.interface import Gateway, Verdict, Wanted
from marketplace.payments.models import TopUp
from marketplace.payments.queries import top_ups_of
from marketplace.payments.top_up_aggregate import OPEN, TOP_UP, TopUpStatus
from marketplace.payments.top_up_commands import request_top_up, require_taken


@dataclass(frozen=True, slots=True)
class Settled:
    """A payment that has come into the wallet. `headers` are of the answer to the request that brought it in."""

    top_up_id: str
    amount: Money
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"/api/top-ups/{self.top_up_id}"


def settle(agent: Agent, gateway: Gateway, wanted: Wanted, *, metadata: Metadata) -> Settled:
    """Pay into an agent's wallet by the payment that a request has brought, and return that it is there.

    One that was paid in before, under the same `correlation_id` of the metadata, is there too; without one it is not.
    Raises InvalidInput, WrongCurrency, PaymentRefused, PaymentReplayed for one that was paid in for something else,
    GatewayAway, or PaymentUnsettled while nobody knows what has become of it.
    """
    try:
        top_up_id, outcome = request_top_up(agent, gateway, wanted, metadata=metadata)
    except PaymentReplayed as replayed:
        row = top_ups_of(agent.id).filter(id=gateway.prepare(wanted).top_up_id).first()
        if row is not None and row.status in OPEN:
            raise _unsettled(row.id) from None
        if row is None or row.status != TopUpStatus.CREDITED or not _is_for(row, metadata.correlation_id):
            raise replayed
        return Settled(row.id, wanted.amount)
    require_taken(top_up_id, outcome)
    if outcome.verdict is not Verdict.PAID:
        raise _unsettled(top_up_id)
    return Settled(top_up_id, wanted.amount, headers=outcome.headers)


def check_settled(agent: Agent, gateway: str) -> None:
    """Raise PaymentUnsettled while the outcome of one of the agent's payments by a gateway is not known.

    Whoever is asked to pay again meanwhile may pay twice.
    """
    row = top_ups_of(agent.id).filter(gateway=gateway, status__in=[each.value for each in OPEN]).first()
    if row is not None:
        raise _unsettled(row.id)


def _is_for(row: TopUp, correlation: str | None) -> bool:
    requested = read_stream(TOP_UP.stream(row.id))[0]
    return correlation is not None and requested.metadata.correlation_id == correlation


def _unsettled(top_up_id: str) -> PaymentUnsettled:
    return PaymentUnsettled(
        "the facilitator has not said yet whether the payment was made", top_up=f"/api/top-ups/{top_up_id}"
    )
