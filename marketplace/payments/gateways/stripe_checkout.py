"""Stripe by Checkout Sessions: the payer pays on a page of Stripe's."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from latentmas.protocol.money import Money
from marketplace.payments.events import FailureCause
from marketplace.payments.gateways.interface import Outcome, Payment, Verdict, Wanted
from marketplace.payments.gateways.stripe_http import client, outcome_of

if TYPE_CHECKING:
    from stripe.checkout import Session

STRIPE_CHECKOUT = "stripe-checkout"


class StripeCheckout:
    name = STRIPE_CHECKOUT
    asks = True

    def __init__(self, key: str, *, return_url: str) -> None:
        self._sessions, self._return_url = client(key).v1.checkout.sessions, return_url

    def prepare(self, wanted: Wanted) -> Payment:
        return Payment(str(uuid4()), wanted.amount)

    def check(self, payment: Payment) -> None:
        """There is nothing to ask before."""

    def start(self, payment: Payment) -> Outcome:
        """Create the session; under its idempotency key Stripe answers a second call with the same one."""
        return outcome_of(lambda: self._create(payment), judged)

    def ask(self, payment: Payment) -> Outcome:
        if payment.reference is None:  # its creation was not answered
            return self.start(payment)
        return outcome_of(lambda: self._sessions.retrieve(payment.reference or ""), judged)

    def give_up(self, payment: Payment) -> Outcome:
        """Expire the session. One that Stripe no longer expires was paid meanwhile, or has expired."""
        outcome = outcome_of(lambda: self._sessions.expire(payment.reference or ""), judged)
        return self.ask(payment) if outcome.verdict is Verdict.FAILED and outcome.reference is None else outcome

    def _create(self, payment: Payment) -> "Session":
        named = {"top_up": payment.top_up_id}
        return self._sessions.create(
            {
                "mode": "payment",
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {
                            "currency": payment.amount.currency.lower(),
                            "unit_amount": payment.amount.amount,
                            "product_data": {"name": "Top-up of a LatentMAS wallet"},
                        },
                    }
                ],
                "client_reference_id": payment.top_up_id,
                "metadata": named,
                "payment_intent_data": {"metadata": named},
                "success_url": f"{self._return_url}?top_up={payment.top_up_id}",
                "cancel_url": self._return_url,
            },
            {"idempotency_key": f"top-up/{payment.top_up_id}"},
        )


def judged(session: "Session") -> Outcome:
    """Return what a session says. What it is paid by is the payment's name from then on: disputes name that."""
    if session.payment_status == "paid":
        received = Money(session.amount_total or 0, (session.currency or "").upper())
        return Outcome(Verdict.PAID, _intent_of(session) or session.id, received=received)
    if session.status == "expired":
        return Outcome(Verdict.FAILED, session.id, cause=FailureCause.EXPIRED)
    step = {"kind": "page", "url": session.url, "expires_at": datetime.fromtimestamp(session.expires_at, UTC)}
    return Outcome(Verdict.OPEN, session.id, next_step=step)


def _intent_of(session: "Session") -> str | None:
    intent = session.payment_intent
    return intent if intent is None or isinstance(intent, str) else intent.id
