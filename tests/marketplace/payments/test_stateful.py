"""Whatever happens to top-ups and payouts, in whatever order and however often: money is neither made nor lost.

A model beside the database knows what every wallet must hold. After every step the balances are those, all accounts add
up to zero, and at the end a rebuild from the log gives the same tables.
"""

from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from latentmas.events.rebuilding import check, chosen
from latentmas.events.types import Metadata
from latentmas.protocol.errors import Conflict
from latentmas.protocol.money import Money
from marketplace.agents.commands import Profile, register_agent
from marketplace.agents.models import Agent
from marketplace.ledger.accounts import wallet
from marketplace.ledger.balances import balance_of
from marketplace.ledger.errors import InsufficientFunds
from marketplace.ledger.verification import ledger_faults
from marketplace.payments import by_hand, payout_commands
from marketplace.payments.errors import NegativeBalance, PaymentMismatch
from marketplace.payments.events import FailureCause
from marketplace.payments.gateways.interface import Outcome, Payment, Verdict, Wanted
from marketplace.payments.models import Payout, TopUp
from marketplace.payments.top_up_commands import (
    ask_again,
    record_dispute,
    record_dispute_closed,
    record_outcome,
    request_top_up,
)
from tests.marketplace.payments.conftest import CURATOR

pytestmark = pytest.mark.django_db
BY = Metadata(actor="gateway:scripted")
AMOUNTS = st.integers(1, 500)
CURRENCIES = st.sampled_from(["USD", "EUR"])


class Scripted:
    """A gateway whose payers and failures the machine decides about: `paid` is what it really has received."""

    name, asks = "scripted", True

    def __init__(self) -> None:
        self.silent = False
        self.paid: set[str] = set()
        self.ended: set[str] = set()

    def prepare(self, wanted: Wanted) -> Payment:
        from uuid import uuid4

        return Payment(str(uuid4()), wanted.amount)

    def check(self, payment: Payment) -> None:
        pass

    def start(self, payment: Payment) -> Outcome:
        return self.ask(payment)

    def ask(self, payment: Payment) -> Outcome:
        if self.silent:
            return Outcome(Verdict.UNKNOWN)
        if payment.top_up_id in self.paid:
            return Outcome(Verdict.PAID, f"ref-{payment.top_up_id}", received=payment.amount)
        if payment.top_up_id in self.ended:
            return Outcome(Verdict.FAILED, cause=FailureCause.CANCELLED)
        return Outcome(Verdict.OPEN, f"ref-{payment.top_up_id}")

    def give_up(self, payment: Payment) -> Outcome:
        if not self.silent and payment.top_up_id not in self.paid:
            self.ended.add(payment.top_up_id)
        return self.ask(payment)


class Payments(RuleBasedStateMachine):
    top_ups, payouts = Bundle("top_ups"), Bundle("payouts")

    @initialize()
    def begin(self) -> None:
        self.gateway, self.held = Scripted(), Counter[str]()
        self.left: dict[str, int] = {}  # of a credited top-up: what has not gone back
        self.disputes: dict[tuple[str, str], int] = {}
        self.closed: set[tuple[str, str]] = set()
        owner = User.objects.create_user("owner")
        self.agents = [
            Agent.objects.get(id=register_agent(owner, Profile(f"agent-{n}", "Agent"), metadata=CURATOR).id)
            for n in range(2)
        ]

    def account(self, row: Any) -> str:
        return wallet(row.agent_id, row.currency)

    def credited(self, row: TopUp) -> None:
        if row.id not in self.left:
            self.left[row.id] = row.amount
            self.held[self.account(row)] += row.amount

    @rule(target=top_ups, agent=st.integers(0, 1), amount=AMOUNTS, currency=CURRENCIES, silent=st.booleans())
    def request(self, agent: int, amount: int, currency: str, silent: bool) -> str:
        self.gateway.silent = silent
        made, outcome = request_top_up(self.agents[agent], self.gateway, Wanted(Money(amount, currency)), metadata=BY)
        assert outcome.verdict is (Verdict.UNKNOWN if silent else Verdict.OPEN)
        assert TopUp.objects.get(id=made).status == ("unknown" if silent else "requested")
        return made

    @rule(target=top_ups, agent=st.integers(0, 1), amount=AMOUNTS, currency=CURRENCIES)
    def request_by_hand(self, agent: int, amount: int, currency: str) -> str:
        made = by_hand.top_up_by_hand(self.agents[agent], Money(amount, currency), reason="It came.", metadata=CURATOR)
        self.gateway.paid.add(made)
        self.credited(TopUp.objects.get(id=made))
        return made

    @rule(top_up=top_ups)
    def pay(self, top_up: str) -> None:
        """The payer pays; nobody says so yet."""
        if top_up not in self.gateway.ended:
            self.gateway.paid.add(top_up)

    @rule(top_up=top_ups, silent=st.booleans(), give_up=st.booleans())
    def reconcile(self, top_up: str, silent: bool, give_up: bool) -> None:
        row = TopUp.objects.get(id=top_up)
        self.gateway.silent = silent
        ask_again(row, self.gateway, give_up=give_up, metadata=BY)
        if top_up in self.gateway.paid and not silent:
            self.credited(row)

    @rule(top_up=top_ups, times=st.integers(1, 3))
    def hear(self, top_up: str, times: int) -> None:
        """The gateway's message comes, once or more often."""
        row = TopUp.objects.get(id=top_up)
        if top_up in self.gateway.paid:
            outcome = Outcome(Verdict.PAID, f"ref-{top_up}", received=Money(row.amount, row.currency))
            for _ in range(times):
                record_outcome(top_up, outcome, metadata=BY)
            self.credited(row)

    @rule(top_up=top_ups)
    def hear_of_another_amount(self, top_up: str) -> None:
        row = TopUp.objects.get(id=top_up)
        outcome = Outcome(Verdict.PAID, "ref", received=Money(row.amount + 1, row.currency))
        with pytest.raises(PaymentMismatch):
            record_outcome(top_up, outcome, metadata=BY)

    @rule(top_up=top_ups)
    def fail(self, top_up: str) -> None:
        row = TopUp.objects.get(id=top_up)
        if row.status in ("requested", "unknown"):
            by_hand.fail_top_up(row, reason="Nothing came.", metadata=CURATOR)
        else:
            with pytest.raises(Conflict):
                by_hand.fail_top_up(row, reason="Nothing came.", metadata=CURATOR)

    @rule(top_up=top_ups, name=st.sampled_from("ab"), part=st.integers(1, 3))
    def dispute(self, top_up: str, name: str, part: int) -> None:
        row, key = TopUp.objects.get(id=top_up), (top_up, name)
        amount = max(1, row.amount // part)
        if key in self.disputes or key in self.closed:
            assert record_dispute(top_up, dispute=name, amount=amount, metadata=BY) == []
        elif top_up not in self.left or amount > self.left[top_up]:
            with pytest.raises(Conflict):
                record_dispute(top_up, dispute=name, amount=amount, metadata=BY)
        else:
            record_dispute(top_up, dispute=name, amount=amount, metadata=BY)
            self.disputes[key] = amount
            self.take(row, amount)

    @rule(top_up=top_ups, name=st.sampled_from("ab"), won=st.booleans())
    def close(self, top_up: str, name: str, won: bool) -> None:
        """A dispute ends, once; that it was opened may not have been heard before."""
        row, key = TopUp.objects.get(id=top_up), (top_up, name)
        amount = self.disputes.get(key, row.amount)
        ends = {"dispute": name, "amount": amount, "won": won, "metadata": BY}
        if key in self.closed:
            assert record_dispute_closed(top_up, **ends) == []
            return
        if key not in self.disputes and (top_up not in self.left or amount > self.left[top_up]):
            with pytest.raises(Conflict):
                record_dispute_closed(top_up, **ends)
            return
        record_dispute_closed(top_up, **ends)
        if key not in self.disputes:
            self.take(row, amount)
        self.disputes.pop(key, None)
        self.closed.add(key)
        if won:
            self.take(row, -amount)

    @rule(top_up=top_ups)
    def charge_back(self, top_up: str) -> None:
        row = TopUp.objects.get(id=top_up)
        if self.left.get(top_up):
            by_hand.charge_back_top_up(row, reason="Taken back.", metadata=CURATOR)
            self.take(row, self.left[top_up])
        else:
            with pytest.raises(Conflict):
                by_hand.charge_back_top_up(row, reason="Taken back.", metadata=CURATOR)

    def take(self, row: TopUp, amount: int) -> None:
        self.left[row.id] -= amount
        self.held[self.account(row)] -= amount

    def in_debt(self, agent_id: str) -> bool:
        return any(self.held[wallet(agent_id, each)] < 0 for each in ("USD", "EUR"))

    @rule(target=payouts, agent=st.integers(0, 1), amount=AMOUNTS, currency=CURRENCIES)
    def ask_for_payout(self, agent: int, amount: int, currency: str) -> Any:
        row = self.agents[agent]
        account = wallet(row.id, currency)
        refusal = NegativeBalance if self.in_debt(row.id) else InsufficientFunds
        wanted = Money(amount, currency)
        if refusal is NegativeBalance or self.held[account] < amount:
            with pytest.raises(refusal):
                payout_commands.request_payout(row, wanted, destination="DE02", metadata=BY)
            return multiple()
        self.held[account] -= amount
        return payout_commands.request_payout(row, wanted, destination="DE02", metadata=BY)

    @rule(payout=payouts, step=st.sampled_from(["approve", "mark_paid", "refuse", "cancel"]))
    def decide_payout(self, payout: str, step: str) -> None:
        row = Payout.objects.get(id=payout)
        allowed = {
            "approve": row.status == "requested",
            "mark_paid": row.status == "approved",
            "refuse": row.status in ("requested", "approved"),
            "cancel": row.status == "requested",
        }[step]
        if step in ("approve", "mark_paid"):
            allowed = allowed and not self.in_debt(row.agent_id)
        if not allowed:
            with pytest.raises(Conflict):
                self.step(row, step)
            return
        self.step(row, step)
        if step in ("refuse", "cancel"):
            self.held[self.account(row)] += row.amount

    def step(self, row: Payout, step: str) -> None:
        if step == "cancel":
            payout_commands.cancel_payout(row, metadata=BY)
        else:
            act = {
                "approve": payout_commands.approve_payout,
                "mark_paid": payout_commands.mark_paid,
                "refuse": payout_commands.refuse_payout,
            }[step]
            act(row, reason="Because.", metadata=CURATOR)

    @invariant()
    def it_adds_up(self) -> None:
        assert list(ledger_faults()) == []
        for agent in self.agents:
            for currency in ("USD", "EUR"):
                account = wallet(agent.id, currency)
                assert balance_of(account) == self.held[account]

    def teardown(self) -> None:
        assert check(chosen([])) == []


def in_a_transaction_of_its_own() -> Any:
    """Return a machine that leaves the database as it was."""
    machine, block = Payments(), transaction.atomic()
    block.__enter__()
    end = machine.teardown

    def teardown() -> None:
        try:
            end()
        finally:
            transaction.set_rollback(True)
            block.__exit__(None, None, None)

    machine.teardown = teardown  # type: ignore[method-assign]
    return machine


def test_money_is_neither_made_nor_lost():
    run_state_machine_as_test(
        in_a_transaction_of_its_own,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
