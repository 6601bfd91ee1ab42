"""What a payment gateway does for top-ups, whichever it is. Nothing here touches the database.

The one rule: a gateway that has not said what became of a payment has said nothing. `start` and `ask` then return
UNKNOWN, and asking again never charges a second time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from latentmas.protocol.money import Money
from marketplace.payments.events import FailureCause

Json = Mapping[str, Any]


class Verdict(StrEnum):
    OPEN = "open"  # the gateway waits for the payer
    PAID = "paid"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a gateway says of a payment; `reference` is its name there, `next_step` what the payer does now."""

    verdict: Verdict
    reference: str | None = None
    received: Money | None = None  # of PAID
    cause: FailureCause = FailureCause.REFUSED  # of FAILED
    explanation: str = ""  # the gateway's own, for the answer alone
    next_step: Json = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # of the answer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be paid into a wallet.

    `header` is the request's PAYMENT-SIGNATURE, where it has one, and `resource` the address that it asked for.
    """

    amount: Money
    header: str | None = None
    resource: str = "/api/top-ups"


@dataclass(frozen=True, slots=True)
class Payment:
    """A top-up as a gateway sees it; `authorisation` is what the payer has sent along."""

    top_up_id: str
    amount: Money
    reference: str | None = None
    authorisation: Json | None = None


class Gateway(Protocol):
    """A way for money to come in."""

    name: str  # as requests say it, and in the account `gateway:<name>:<currency>`
    asks: bool  # whether `ask` can learn anything

    def prepare(self, wanted: Wanted) -> Payment:
        """Return the payment of a new top-up; nobody is asked yet.

        Raises InvalidInput, WrongCurrency, X402PaymentRequired or PaymentRefused.
        """

    def check(self, payment: Payment) -> None:
        """Ask whether the payment could be made, where the gateway can tell before anything is recorded.

        Raises PaymentRefused or GatewayAway.
        """

    def start(self, payment: Payment) -> Outcome:
        """Have the gateway open, or make, the payment of a recorded top-up. It may be called again for the same one."""

    def ask(self, payment: Payment) -> Outcome:
        """Return what has become of a payment."""

    def give_up(self, payment: Payment) -> Outcome:
        """End a payment that nobody has made, and return what became of it: it may have been made meanwhile."""
