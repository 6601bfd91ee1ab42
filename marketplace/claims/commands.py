"""Every write to a dispute. Each command appends to `dispute/<sale>` or raises and changes nothing.

Opening and resolving lock the sale's stream too, so that no refund comes between what is decided and what is recorded.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from latentmas.events.commands import execute, execute_together
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import Conflict
from marketplace.agents.models import Agent
from marketplace.claims import aggregate
from marketplace.claims.aggregate import DISPUTE, UNDECIDED, Complaint, Resolution
from marketplace.claims.errors import NotTheParty
from marketplace.claims.events import DisputeKind, Outcome
from marketplace.claims.models import Dispute
from marketplace.claims.texts import DISPUTE_TEXTS
from marketplace.ledger import balances
from marketplace.ledger.accounts import wallet
from marketplace.ledger.own_money import check_not_own
from marketplace.sales.aggregate import SALE
from marketplace.sales.models import Sale
from marketplace.texts.checks import check_reason, check_text
from marketplace.texts.free_text import FreeText

TEXT_CHARACTERS = 4_000


def open_dispute(
    row: Sale, *, agent: str, kind: DisputeKind, text: str, at: datetime, metadata: Metadata
) -> list[Recorded]:
    """Ask for the price of a sale back as its buyer, and set aside what the seller's wallet has of its share.

    Raises NotTheParty, InvalidInput, SaleNotCaptured, DisputeExists, DisputeTooLate or NothingCharged.
    """
    if row.buyer != agent:
        raise NotTheParty("only the buyer disputes a purchase")
    complaint = Complaint(row.id, kind, _written(text), row.captured_at)

    def decide(states: Sequence[Any]) -> Sequence[Sequence[object]]:
        state, sold = states
        held = balances.lock([wallet(row.seller, row.currency)])
        return [_sealed(row.id, aggregate.decide_open(state, sold, complaint, held, at=at)), ()]

    return execute_together([(DISPUTE, row.id), (SALE, row.id)], decide, metadata=metadata)


def answer_dispute(row: Dispute, *, agent: str, text: str, metadata: Metadata, expected: int) -> list[Recorded]:
    """Say as the seller what it thinks of a dispute, once.

    Raises NotTheParty, InvalidInput, DisputeClosed or VersionConflict.
    """
    if row.seller != agent:
        raise NotTheParty("only the seller answers a dispute")
    written = _written(text)
    return execute(
        DISPUTE,
        row.id,
        lambda state: _sealed(row.id, aggregate.decide_answer(state, text=written)),
        metadata=metadata,
        expected=expected,
    )


def withdraw_dispute(row: Dispute, *, agent: str, metadata: Metadata, expected: int) -> list[Recorded]:
    """Take a dispute back as the buyer, and put back what was set aside.

    Raises NotTheParty, DisputeClosed or VersionConflict.
    """
    if row.buyer != agent:
        raise NotTheParty("only the buyer withdraws a dispute")
    return execute(
        DISPUTE,
        row.id,
        lambda state: aggregate.decide_withdraw(row.id, state),
        metadata=metadata,
        expected=expected,
    )


def resolve_dispute(
    row: Dispute, *, outcome: Outcome, amount: int | None = None, reason: str, metadata: Metadata
) -> list[Recorded]:
    """Decide a dispute as a curator who is no party to it, for a reason; what is refunded moves at once.

    `amount` is given for a part. Raises OwnMoney, InvalidInput, DisputeClosed or RefundTooLarge.
    """
    for party in Agent.objects.filter(id__in={row.buyer, row.seller}):  # the house sells, too, and is no agent
        check_not_own(party.id, metadata.actor)
    resolution = Resolution(outcome, amount, check_reason(reason))

    def decide(states: Sequence[Any]) -> Sequence[Sequence[object]]:
        disputed, sold = states
        resolved, refunded = aggregate.decide_resolve(row.id, disputed, sold, resolution)
        balances.lock([wallet(row.seller, row.currency), *sold.left])
        return [_sealed(row.id, resolved), refunded]

    return execute_together([(DISPUTE, row.id), (SALE, row.id)], decide, metadata=metadata)


def erase_dispute_texts(row: Dispute) -> int:
    """Erase what was written in a dispute that has ended; return how many texts. Raises Conflict."""
    if row.status in UNDECIDED:
        raise Conflict(f"the dispute is {row.status}; what was written is still needed")
    return len(DISPUTE_TEXTS.erase(DISPUTE.stream(row.id)))


def _written(text: str) -> FreeText:
    check_text(text, "text", TEXT_CHARACTERS)
    return FreeText(text.strip())


def _sealed(sale: str, events: Sequence[object]) -> Sequence[object]:
    return DISPUTE_TEXTS.seal(DISPUTE.stream(sale), events)
