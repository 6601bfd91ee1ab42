"""Every write to a top-up. A gateway is asked between transactions, never inside one."""

from collections.abc import Callable, Sequence
from functools import partial

from latentmas.events.commands import execute
from latentmas.events.store import stream_version
from latentmas.events.transactions import transact
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import Money, check_currency
from marketplace.agents.models import Agent
from marketplace.payments import top_up_aggregate as aggregate
from marketplace.payments.errors import PaymentRefused, PaymentReplayed
from marketplace.payments.events import TopUpRequested
from marketplace.payments.gateways.interface import Gateway, Outcome, Payment, Verdict, Wanted
from marketplace.payments.models import HeldAuthorisation, TopUp
from marketplace.payments.queries import payment_of, top_ups_of
from marketplace.payments.texts import TEXTS
from marketplace.payments.top_up_aggregate import TOP_UP, TopUpState

MIN_AMOUNT, MAX_AMOUNT = 1, 99_999_999  # minor units; the upper one is Stripe's
Decide = Callable[[TopUpState], Sequence[object]]


def request_top_up(agent: Agent, gateway: Gateway, wanted: Wanted, *, metadata: Metadata) -> tuple[str, Outcome]:
    """Record a top-up, have its gateway start it, record what became of that, and return its id and the outcome.

    Raises InvalidInput, WrongCurrency, X402PaymentRequired, PaymentRefused, PaymentReplayed or GatewayAway; then
    nothing was recorded.
    """
    check_amount(wanted.amount)
    payment = gateway.prepare(wanted)
    _check_new(agent, payment)
    gateway.check(payment)
    begin(agent, gateway.name, payment, metadata=metadata)
    outcome = gateway.start(payment)
    record_outcome(payment.top_up_id, outcome, metadata=metadata)
    return payment.top_up_id, outcome


def require_taken(top_up_id: str, outcome: Outcome) -> None:
    """Raise PaymentRefused for a payment that its gateway has refused once it was recorded."""
    if outcome.verdict is Verdict.FAILED:
        error = PaymentRefused(outcome.explanation, top_up=f"/api/top-ups/{top_up_id}")
        error.headers = outcome.headers
        raise error


def ask_again(row: TopUp, gateway: Gateway, *, give_up: bool = False, metadata: Metadata) -> Outcome:
    """Ask a gateway what became of an open top-up, and record its answer; `give_up` ends one that nobody has paid."""
    payment = payment_of(row)
    outcome = gateway.ask(payment)
    if outcome.verdict is not Verdict.UNKNOWN or payment.reference is None:  # a look that failed changes nothing
        record_outcome(row.id, outcome, metadata=metadata)
    if give_up and outcome.verdict is Verdict.OPEN:
        outcome = gateway.give_up(Payment(row.id, payment.amount, outcome.reference or payment.reference))
        record_outcome(row.id, outcome, metadata=metadata)
    return outcome


def record_outcome(top_up_id: str, outcome: Outcome, *, metadata: Metadata) -> list[Recorded]:
    """Record what a gateway says; the same again records nothing. Raises NotFound or PaymentMismatch."""
    match outcome.verdict:
        case Verdict.PAID:
            decide: Decide = partial(aggregate.decide_credit, received=outcome.received, reference=outcome.reference)
        case Verdict.FAILED:
            decide = partial(aggregate.decide_fail, cause=outcome.cause)
        case Verdict.UNKNOWN:
            decide = aggregate.decide_unknown
        case Verdict.OPEN:
            if outcome.reference is None:
                return []
            decide = partial(aggregate.decide_started, reference=outcome.reference)
    return change(top_up_id, decide, metadata=metadata)


def record_dispute(top_up_id: str, *, dispute: str, amount: int, metadata: Metadata) -> list[Recorded]:
    """Take a disputed amount out of the wallet; each dispute once. Raises NotFound, Conflict or PaymentMismatch."""
    decide = partial(aggregate.decide_dispute, dispute=dispute, amount=amount)
    return change(top_up_id, decide, metadata=metadata)


def record_dispute_closed(
    top_up_id: str, *, dispute: str, amount: int, won: bool, metadata: Metadata
) -> list[Recorded]:
    """End a dispute, once; what was won goes back into the wallet. Raises NotFound, Conflict or PaymentMismatch."""
    decide = partial(aggregate.decide_dispute_closed, dispute=dispute, amount=amount, won=won)
    return change(top_up_id, decide, metadata=metadata)


def check_amount(amount: Money) -> None:
    """Raises InvalidInput for an amount that is too small or too large, or of no currency."""
    check_currency(amount.currency)
    if not MIN_AMOUNT <= amount.amount <= MAX_AMOUNT:
        raise InvalidInput(
            f"the amount is {amount.amount}; it must be {MIN_AMOUNT} to {MAX_AMOUNT} minor units", field="amount"
        )


def begin(agent: Agent, gateway: str, payment: Payment, *, metadata: Metadata) -> None:
    """Record that a top-up is wanted, and keep its authorisation. Raises PaymentReplayed for one that exists."""
    requested = TopUpRequested(payment.top_up_id, agent.id, gateway, payment.amount.amount, payment.amount.currency)

    def work() -> None:
        change(payment.top_up_id, lambda state: aggregate.decide_request(state, requested), metadata=metadata)
        if payment.authorisation is not None:
            HeldAuthorisation.objects.create(top_up_id=payment.top_up_id, document=payment.authorisation)

    transact(work)


def change(top_up_id: str, decide: Decide, *, metadata: Metadata) -> list[Recorded]:
    """Append what is decided, keep what persons wrote, and let go of an authorisation that is not needed any more."""
    stream = TOP_UP.stream(top_up_id)

    def work() -> list[Recorded]:
        recorded = execute(TOP_UP, top_up_id, lambda state: TEXTS.seal(stream, decide(state)), metadata=metadata)
        if recorded and not TopUp.objects.filter(id=top_up_id, status__in=aggregate.OPEN).exists():
            HeldAuthorisation.objects.filter(top_up_id=top_up_id).delete()
        return recorded

    return transact(work)


def _check_new(agent: Agent, payment: Payment) -> None:
    """Raises PaymentReplayed for an authorisation that has a top-up; whose it is, only its own agent learns."""
    if stream_version(TOP_UP.stream(payment.top_up_id)):
        mine = top_ups_of(agent.id).filter(id=payment.top_up_id).exists()
        known = {"top_up": f"/api/top-ups/{payment.top_up_id}"} if mine else {}
        raise PaymentReplayed("this authorisation was used for a top-up before", **known)
