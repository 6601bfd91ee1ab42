"""Stripe by PaymentIntents: the payer's own program confirms the payment with the intent's client secret."""

from typing import TYPE_CHECKING
from uuid import uuid4

from latentmas.protocol.money import Money
from marketplace.payments.events import FailureCause
from marketplace.payments.gateways.interface import Outcome, Payment, Verdict, Wanted
from marketplace.payments.gateways.stripe_http import client, outcome_of

if TYPE_CHECKING:
    from stripe import PaymentIntent

STRIPE = "stripe"


class StripeIntents:
    name = STRIPE
    asks = True

    def __init__(self, key: str) -> None:
        self._intents = client(key).v1.payment_intents

    def prepare(self, wanted: Wanted) -> Payment:
        return Payment(str(uuid4()), wanted.amount)

    def check(self, payment: Payment) -> None:
        """There is nothing to ask before."""

    def start(self, payment: Payment) -> Outcome:
        """Create the intent; under its idempotency key Stripe answers a second call with the same one."""
        return outcome_of(lambda: self._create(payment), lambda intent: judged(intent, secret=True))

    def ask(self, payment: Payment) -> Outcome:
        if payment.reference is None:  # its creation was not answered
            return outcome_of(lambda: self._create(payment), judged)
        return outcome_of(lambda: self._intents.retrieve(payment.reference or ""), judged)

    def give_up(self, payment: Payment) -> Outcome:
        """Cancel the intent. One that Stripe no longer cancels was paid meanwhile, or ended."""
        outcome = outcome_of(lambda: self._intents.cancel(payment.reference or ""), judged)
        return self.ask(payment) if outcome.verdict is Verdict.FAILED and outcome.reference is None else outcome

    def _create(self, payment: Payment) -> "PaymentIntent":
        return self._intents.create(
            {
                "amount": payment.amount.amount,
                "currency": payment.amount.currency.lower(),
                "metadata": {"top_up": payment.top_up_id},
            },
            {"idempotency_key": f"top-up/{payment.top_up_id}"},
        )


def judged(intent: "PaymentIntent", *, secret: bool = False) -> Outcome:
    """Return what an intent's status says. An intent whose payment has failed can still be paid another way."""
    match intent.status:
        case "succeeded":
            return Outcome(Verdict.PAID, intent.id, received=Money(intent.amount, intent.currency.upper()))
        case "canceled":
            return Outcome(Verdict.FAILED, intent.id, cause=FailureCause.CANCELLED)
    step = {"kind": "confirm", "client_secret": intent.client_secret} if secret else {}
    return Outcome(Verdict.OPEN, intent.id, next_step=step)
