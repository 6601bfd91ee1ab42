"""Every write to a payout. The agent's wallets are locked while it is decided."""

from collections.abc import Callable, Sequence
from uuid import uuid4

from latentmas.events.commands import execute
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import Conflict
from latentmas.protocol.money import Money
from marketplace.agents.models import Agent
from marketplace.ledger.accounts import wallet
from marketplace.ledger.balances import lock, wallets_of
from marketplace.ledger.own_money import check_not_own
from marketplace.payments import payout_aggregate as aggregate
from marketplace.payments.models import Payout
from marketplace.payments.payout_aggregate import PAYOUT, Balances, PayoutState
from marketplace.payments.payout_events import PayoutRequested
from marketplace.payments.texts import TEXTS
from marketplace.payments.top_up_commands import check_amount
from marketplace.texts.checks import check_reason, check_text
from marketplace.texts.free_text import FreeText

MAX_DESTINATION = 200
Decide = Callable[[PayoutState, Balances], Sequence[object]]


def request_payout(agent: Agent, amount: Money, *, destination: str, metadata: Metadata) -> str:
    """Set an amount aside to be paid to a destination, and return the payout's id.

    Raises InvalidInput, InsufficientFunds or NegativeBalance.
    """
    check_amount(amount)
    check_text(destination, "destination", MAX_DESTINATION)
    payout_id = str(uuid4())
    requested = PayoutRequested(payout_id, agent.id, amount.amount, amount.currency, FreeText(destination.strip()))
    _execute(
        payout_id,
        lambda state, balances: aggregate.decide_request(state, requested, balances),
        accounts=_wallets(agent.id) | {wallet(agent.id, amount.currency)},
        metadata=metadata,
    )
    return payout_id


def cancel_payout(row: Payout, *, metadata: Metadata, expected: int | None = None) -> None:
    """Take a request back before it is approved. Raises Conflict or VersionConflict."""
    _execute(row.id, lambda state, _: aggregate.decide_cancel(state), metadata=metadata, expected=expected)


def approve_payout(row: Payout, *, reason: str, metadata: Metadata) -> None:
    """Let a payout be paid. Raises InvalidInput, OwnMoney, Conflict or NegativeBalance."""
    text = check_reason(reason)
    _decide(row, lambda state, balances: aggregate.decide_approve(state, reason=text, balances=balances), metadata)


def mark_paid(row: Payout, *, reason: str, metadata: Metadata) -> None:
    """Record that an approved payout has left, and by which payment.

    Raises InvalidInput, OwnMoney, Conflict or NegativeBalance.
    """
    text = check_reason(reason)
    _decide(row, lambda state, balances: aggregate.decide_paid(state, reason=text, balances=balances), metadata)


def refuse_payout(row: Payout, *, reason: str, metadata: Metadata) -> None:
    """End an open payout and put the money back. Raises InvalidInput, OwnMoney or Conflict."""
    text = check_reason(reason)
    _decide(row, lambda state, _: aggregate.decide_refuse(state, reason=text), metadata)


def erase_payout_texts(row: Payout) -> int:
    """Erase where a payout that has ended was sent, and the reasons given; return how many texts. Raises Conflict."""
    if row.status in aggregate.OPEN:
        raise Conflict(f"the payout is {row.status}; its destination is still needed")
    return len(TEXTS.erase(PAYOUT.stream(row.id)))


def _decide(row: Payout, decide: Decide, metadata: Metadata) -> None:
    check_not_own(row.agent_id, metadata.actor)
    _execute(row.id, decide, accounts=_wallets(row.agent_id), metadata=metadata)


def _wallets(agent_id: str) -> set[str]:
    return {row.account for row in wallets_of(agent_id)}


def _execute(
    payout_id: str,
    decide: Decide,
    *,
    metadata: Metadata,
    accounts: set[str] | frozenset[str] = frozenset(),
    expected: int | None = None,
) -> list[Recorded]:
    def decided(state: PayoutState) -> Sequence[object]:
        return TEXTS.seal(PAYOUT.stream(payout_id), decide(state, lock(accounts)))

    return execute(PAYOUT, payout_id, decided, metadata=metadata, expected=expected)
