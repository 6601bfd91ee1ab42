"""What Stripe's webhook says: the messages that concern top-ups, once their signature holds.

A message says what has happened, not what is: the same one may come twice, late or out of order. So each leads to a
command that records a thing once, whatever came before.
"""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from latentmas.events.types import Metadata
from latentmas.protocol.money import Money
from marketplace.payments.errors import WebhookRefused
from marketplace.payments.events import FailureCause
from marketplace.payments.gateways.interface import Outcome, Verdict
from marketplace.payments.gateways.stripe_checkout import STRIPE_CHECKOUT
from marketplace.payments.gateways.stripe_intents import STRIPE
from marketplace.payments.models import TopUp
from marketplace.payments.top_up_commands import record_dispute, record_dispute_closed, record_outcome

STRIPES = (STRIPE, STRIPE_CHECKOUT)
TOLERANCE = 300  # seconds
LOST, WON, WARNING = "lost", "won", "warning"
BY = Metadata(actor="gateway:stripe", request_id=None)
log = logging.getLogger(__name__)


class Subject(msgspec.Struct):
    """What a message is about: a PaymentIntent, a Checkout Session or a Dispute; only what is read of it."""

    id: str
    amount: int | None = None
    amount_total: int | None = None
    currency: str | None = None
    metadata: dict[str, Any] | None = None
    payment_intent: str | None = None
    payment_status: str | None = None
    status: str | None = None

    @property
    def money(self) -> Money:
        amount = self.amount if self.amount is not None else self.amount_total
        return Money(amount or 0, (self.currency or "").upper())


class Data(msgspec.Struct):
    object: Subject


class Message(msgspec.Struct):
    type: str
    data: Data


class Kind(msgspec.Struct):
    """A message of any type."""

    type: str


def message_in(body: bytes, signature: str | None, secrets: Sequence[str]) -> str:
    """Return the type of a message that Stripe has signed with one of the secrets. Raises WebhookRefused."""
    import stripe

    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            continue
        try:
            return msgspec.json.decode(body, type=Kind).type
        except msgspec.MsgspecError as error:
            raise WebhookRefused("the message is not one of Stripe's events") from error
    raise WebhookRefused("the message has no valid signature, or is older than five minutes")


def act_on(kind: str, body: bytes) -> None:
    """Carry out what a message of a type means; of other types, and about other payments, nothing.

    Raises WebhookRefused for one of a known type that is malformed, and what the commands raise.
    """
    act = ACTIONS.get(kind)
    if act is None:
        return
    try:
        subject = msgspec.json.decode(body, type=Message).data.object
    except msgspec.MsgspecError as error:
        raise WebhookRefused(f"the message {kind} is malformed") from error
    act(subject)


def _paid(subject: Subject) -> None:
    _record(subject, Outcome(Verdict.PAID, subject.id, received=subject.money))


def _cancelled(subject: Subject) -> None:
    _record(subject, Outcome(Verdict.FAILED, cause=FailureCause.CANCELLED))


def _session_ended(subject: Subject) -> None:
    """A session can be completed before its payment has come in; then another message follows."""
    if subject.payment_status == "paid":
        _record(subject, Outcome(Verdict.PAID, subject.payment_intent or subject.id, received=subject.money))


def _session_failed(subject: Subject) -> None:
    _record(subject, Outcome(Verdict.FAILED, cause=FailureCause.EXPIRED))


def _disputed(subject: Subject) -> None:
    """An inquiry, which Stripe calls a warning, takes no money yet."""
    if (subject.status or "").startswith(WARNING):
        return
    if (row := _of_intent(subject)) is not None:
        record_dispute(row.id, dispute=subject.id, amount=subject.amount or 0, metadata=BY)


def _dispute_closed(subject: Subject) -> None:
    row = _of_intent(subject)
    if row is not None and subject.status in (WON, LOST):
        won = subject.status == WON
        record_dispute_closed(row.id, dispute=subject.id, amount=subject.amount or 0, won=won, metadata=BY)


ACTIONS = {
    "payment_intent.succeeded": _paid,
    "payment_intent.canceled": _cancelled,
    "checkout.session.completed": _session_ended,
    "checkout.session.async_payment_succeeded": _session_ended,
    "checkout.session.async_payment_failed": _session_failed,
    "checkout.session.expired": _session_failed,
    "charge.dispute.created": _disputed,
    "charge.dispute.funds_withdrawn": _disputed,
    "charge.dispute.closed": _dispute_closed,
}


def _record(subject: Subject, outcome: Outcome) -> None:
    named = (subject.metadata or {}).get("top_up")
    row = TopUp.objects.filter(id=named, gateway__in=STRIPES).first() if isinstance(named, str) else None
    if row is None:
        log.info("a message of Stripe's is about none of our top-ups: %s", subject.id)
        return
    record_outcome(row.id, outcome, metadata=BY)


def _of_intent(subject: Subject) -> TopUp | None:
    """Return the top-up that a disputed payment has paid: the gateway knows it by its intent since it was credited."""
    return TopUp.objects.filter(gateway__in=STRIPES, reference=subject.payment_intent).first()
