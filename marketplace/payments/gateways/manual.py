"""Money that reaches the operator outside this product, such as by bank: a curator says that it has come in."""

from uuid import uuid4

from marketplace.payments.gateways.interface import Outcome, Payment, Verdict, Wanted

MANUAL = "manual"


class ManualGateway:
    name = MANUAL
    asks = False

    def prepare(self, wanted: Wanted) -> Payment:
        return Payment(str(uuid4()), wanted.amount)

    def check(self, payment: Payment) -> None:
        """There is nothing to ask before."""

    def start(self, payment: Payment) -> Outcome:
        """Wait for the curator; the payer names the top-up in the transfer."""
        return Outcome(Verdict.OPEN, next_step={"kind": "transfer", "purpose": f"top-up {payment.top_up_id}"})

    def ask(self, payment: Payment) -> Outcome:
        del payment
        return Outcome(Verdict.OPEN)

    def give_up(self, payment: Payment) -> Outcome:
        del payment
        return Outcome(Verdict.OPEN)
