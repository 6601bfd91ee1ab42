"""What curators do with top-ups, each for a reason, which is kept beside the event."""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import uuid4

from latentmas.events.transactions import transact
from latentmas.events.types import Metadata
from latentmas.protocol.errors import Conflict
from latentmas.protocol.money import Money
from marketplace.agents.models import Agent
from marketplace.ledger.own_money import check_not_own
from marketplace.payments import top_up_aggregate as aggregate
from marketplace.payments.events import FailureCause
from marketplace.payments.gateways.interface import Payment
from marketplace.payments.gateways.manual import MANUAL
from marketplace.payments.models import TopUp
from marketplace.payments.top_up_aggregate import TopUpState
from marketplace.payments.top_up_commands import begin, change, check_amount
from marketplace.texts.checks import check_reason


def top_up_by_hand(agent: Agent, amount: Money, *, reason: str, metadata: Metadata) -> str:
    """Record a top-up whose money has come in already, and return its id. Raises InvalidInput or OwnMoney."""
    check_amount(amount)
    text = check_reason(reason)
    check_not_own(agent.id, metadata.actor)
    payment = Payment(str(uuid4()), amount)

    def work() -> str:
        begin(agent, MANUAL, payment, metadata=metadata)
        credit = partial(aggregate.decide_credit, received=amount, reference=None, reason=text)
        change(payment.top_up_id, credit, metadata=metadata)
        return payment.top_up_id

    return transact(work)


def credit_top_up(row: TopUp, *, reason: str, metadata: Metadata) -> None:
    """Credit an open or failed top-up because the money has come in. Raises InvalidInput, OwnMoney or Conflict."""
    received = Money(row.amount, row.currency)
    text = check_reason(reason)
    _decide(row, partial(aggregate.decide_credit, received=received, reference=row.reference, reason=text), metadata)


def fail_top_up(row: TopUp, *, reason: str, metadata: Metadata) -> None:
    """End an open top-up because nothing will come in. Raises InvalidInput, OwnMoney or Conflict."""
    text = check_reason(reason)
    _decide(row, partial(aggregate.decide_fail, cause=FailureCause.CURATOR, reason=text), metadata)


def charge_back_top_up(row: TopUp, *, reason: str, metadata: Metadata) -> None:
    """Take back what is left of a top-up; the wallet may fall below zero. Raises InvalidInput, OwnMoney or Conflict."""
    _decide(row, partial(aggregate.decide_charge_back, reason=check_reason(reason)), metadata)


def _decide(row: TopUp, decide: Callable[[TopUpState], Sequence[object]], metadata: Metadata) -> None:
    check_not_own(row.agent_id, metadata.actor)
    if not change(row.id, decide, metadata=metadata):
        row.refresh_from_db()
        raise Conflict(f"the top-up is {row.status} already")
