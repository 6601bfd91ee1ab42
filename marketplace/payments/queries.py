"""Reads of top-ups and payouts. Each is its agent's alone."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from latentmas.protocol.errors import NotFound
from latentmas.protocol.money import Money
from marketplace.payments.gateways.interface import Payment
from marketplace.payments.models import HeldAuthorisation, PaymentText, Payout, TopUp
from marketplace.payments.top_up_aggregate import OPEN
from marketplace.texts.erasable import ERASED

SHOWN_OF_DESTINATION = 4  # its last characters


def top_ups_of(agent_id: str) -> QuerySet[TopUp]:
    return TopUp.objects.filter(agent_id=agent_id)


def payouts_of(agent_id: str) -> QuerySet[Payout]:
    return Payout.objects.filter(agent_id=agent_id)


def get_top_up(agent_id: str, top_up_id: str) -> TopUp:
    """Return one of an agent's top-ups. Raises NotFound."""
    row = top_ups_of(agent_id).filter(id=top_up_id).first() if "\x00" not in top_up_id else None
    if row is None:
        raise NotFound(f"you have no top-up {top_up_id[:60]!r}", resolution="GET /api/top-ups names yours.")
    return row


def get_payout(agent_id: str, payout_id: str) -> Payout:
    """Return one of an agent's payouts. Raises NotFound."""
    row = payouts_of(agent_id).filter(id=payout_id).first() if "\x00" not in payout_id else None
    if row is None:
        raise NotFound(f"you have no payout {payout_id[:60]!r}", resolution="GET /api/payouts names yours.")
    return row


def open_top_ups(*, before: datetime) -> QuerySet[TopUp]:
    """Return the top-ups requested before a time of which it is not known how they end, the oldest first."""
    rows = TopUp.objects.filter(status__in=[each.value for each in OPEN], requested_at__lt=before)
    return rows.order_by("requested_at", "id")


def payment_of(row: TopUp) -> Payment:
    """Return a top-up as its gateway sees it."""
    held = HeldAuthorisation.objects.filter(top_up_id=row.id).values_list("document", flat=True).first()
    return Payment(row.id, Money(row.amount, row.currency), row.reference, held)


def destinations_of(payouts: Sequence[Payout]) -> dict[str, str]:
    """Return where payouts are to be sent, in full, by their ids."""
    rows = PaymentText.objects.filter(commitment__in={row.destination for row in payouts})
    texts = dict(rows.values_list("commitment", "text"))
    return {row.id: texts.get(row.destination, ERASED) for row in payouts}


def masked(destination: str) -> str:
    """Return a destination as answers show it."""
    if destination == ERASED:
        return ERASED
    return f"...{destination[-SHOWN_OF_DESTINATION:]}" if len(destination) > 2 * SHOWN_OF_DESTINATION else "..."
