"""Whatever is bought, retried, refunded, voided or breaks off between two steps, in whatever order:

the ledger sums to zero, nobody's money is lost or made, splits total their price, nobody gets a file that he has not
paid for, and the log gives the same balances again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from latentmas.events.rebuilding import check, chosen
from latentmas.protocol.errors import NotFound, QualityBelowThreshold
from marketplace.accounts.mandates import Mandate, MandateBudget
from marketplace.agents.commands import Profile, register_agent
from marketplace.ledger.accounts import hold
from marketplace.ledger.balances import balance_of
from marketplace.ledger.errors import InsufficientFunds
from marketplace.sales import purchasing
from marketplace.sales.commands import Buyer, Spender, refund_sale
from marketplace.sales.delivering import file_of
from marketplace.sales.errors import (
    AlreadyEntitled,
    QuoteUsed,
    RefundTooLarge,
    SaleInProgress,
    SaleNotCaptured,
    SaleRefunded,
)
from marketplace.sales.events import RefundReason
from marketplace.sales.goods import Helper, Kind, Royalty
from marketplace.sales.models import MandateSpending, Sale
from marketplace.sales.purchasing import buy
from marketplace.sales.quotes import Quoted
from marketplace.sales.reconciling import reconcile
from tests.marketplace.sales.toys import FACTORS, TEST, Toys, funds, pay_in, quoted, total

PROJECTORS = ("project_postings", "project_sales", "project_spending")
ITEMS = {"memory": Kind.MEMORY, "long": Kind.MEMORY, "free": Kind.MEMORY, "map": Kind.W_MATRIX}
FUNDS, BUDGET = 2_600, 2_900
BUYERS = 2
STEPS = ("open_sale", "prepare", "capture_sale")


class Killed(BaseException):
    """The process is gone: nothing that would follow runs."""


def agent(name: str) -> str:
    return register_agent(User.objects.create_user(name), Profile(f"{name}-agent", name), metadata=TEST).id


class Market(RuleBasedStateMachine):
    """Two buyers, the first with a mandate, and everybody who can have a share of a sale."""

    toys: Toys
    quotes = Bundle("quotes")

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        self.seller, validator, ancestor, owner = (agent(name) for name in ("seller", "validator", "ancestor", "owner"))
        self.buyers = [agent(f"buyer-{number}") for number in range(BUYERS)]
        self.mandate = Spender("mandated", Mandate("USD", budget_per_day=BUDGET))
        self.paid_in = dict.fromkeys(self.buyers, FUNDS)
        for each in self.buyers:
            pay_in(each, FUNDS)
        shared = {"validators": (validator,), "royalties": (Royalty(ancestor, "old", 1_300),)}
        self.toys.put("memory", seller=self.seller, price=777, **shared)
        self.toys.put("long", seller=self.seller, price=500, factors=FACTORS, floor=650, **shared)
        self.toys.put("free", seller=self.seller, price=0)
        self.toys.put("map", seller=self.seller, price=1_999, kind=Kind.W_MATRIX, ready=True, **shared)
        self.toys.answer = {"helper": Helper(owner, "listing", "1.0.0")}

    def teardown(self) -> None:
        assert check(chosen(PROJECTORS)) == []
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    @rule(target=quotes, buyer=st.integers(0, BUYERS - 1), item=st.sampled_from(list(ITEMS)))
    def ask(self, buyer: int, item: str) -> Quoted:
        return quoted(self.buyers[buyer], item, kind=ITEMS[item])

    @rule(target=quotes, buyer=st.integers(0, BUYERS - 1), tokens=st.none() | st.integers(0, 1_200))
    def purchase_by_the_token(self, buyer: int, tokens: int | None) -> Quoted:
        return self._bought(buyer, "long", tokens)

    @rule(target=quotes, buyer=st.integers(0, BUYERS - 1), item=st.sampled_from(list(ITEMS)))
    def purchase(self, buyer: int, item: str) -> Quoted:
        return self._bought(buyer, item, None)

    @rule(quote=quotes)
    def purchase_again(self, quote: Quoted) -> None:
        self._buy(quote)

    @rule(quote=quotes)
    def purchase_of_what_cannot_be_made(self, quote: Quoted) -> None:
        def refuse(sale: str) -> None:
            raise QualityBelowThreshold("no")

        with self._work(refuse), suppress(QualityBelowThreshold):
            self._buy(quote)

    @rule(quote=quotes, step=st.sampled_from(STEPS))
    def purchase_that_breaks_off(self, quote: Quoted, step: str) -> None:
        """Die before the step, so that it and all after it are not done."""

        def die(*args: object, **options: object) -> None:
            raise Killed

        try:
            if step == "prepare":
                with self._work(die):
                    self._buy(quote)
            else:
                with patch.object(purchasing, step, die):
                    self._buy(quote)
        except Killed:
            pass

    @rule(late=st.booleans())
    def reconcile(self, late: bool) -> None:
        later = timezone.now() + timedelta(days=1) if late else timezone.now()
        reconcile(at=later, metadata=TEST)
        if late:
            assert not Sale.objects.filter(status="open").exists()

    @rule(quote=quotes, part=st.none() | st.integers(1, 300) | st.just(2_500))
    def refund(self, quote: Quoted, part: int | None) -> None:
        row = Sale.objects.filter(id=quote.quote.id).first()
        left = 0 if row is None or row.price is None else row.price - row.refunded
        refused = (NotFound, SaleNotCaptured, RefundTooLarge) if left == 0 or (part or 0) > left else ()
        with pytest.raises(refused) if refused else nullcontext():
            refund_sale(quote.quote.id, amount=part, reason=RefundReason.GOODWILL, by_curator=False, metadata=TEST)

    @rule(buyer=st.integers(0, BUYERS - 1))
    def top_up(self, buyer: int) -> None:
        pay_in(self.buyers[buyer], 100)
        self.paid_in[self.buyers[buyer]] += 100

    @invariant()
    def money_is_neither_made_nor_lost(self) -> None:
        assert total() == 0

    @invariant()
    def each_sale_adds_up(self) -> None:
        for row in Sale.objects.all():
            assert balance_of(hold(row.id, row.currency)) == (row.held if row.status == "open" else 0)
            if row.price is not None:
                assert sum(share["amount"] for share in row.shares) == row.price <= row.held

    @invariant()
    def a_wallet_has_what_was_not_spent(self) -> None:
        for each in self.buyers:
            spent = sum(
                row.held if row.status == "open" else (row.price or 0) - row.refunded
                for row in Sale.objects.filter(buyer=each)
            )
            assert funds(each) == self.paid_in[each] - spent >= 0

    @invariant()
    def the_budget_is_what_was_reserved_or_spent(self) -> None:
        rows = Sale.objects.filter(buyer=self.buyers[0])
        reserved = sum(row.held if row.status == "open" else row.price or 0 for row in rows)
        assert sum(MandateSpending.objects.values_list("amount", flat=True)) == reserved <= BUDGET

    @invariant()
    def only_who_has_paid_gets_a_file(self) -> None:
        for row in Sale.objects.all():
            if row.status == "captured":
                assert file_of(row).digest == row.file_digest
            else:
                with pytest.raises((SaleNotCaptured, SaleRefunded)):
                    file_of(row)

    def _bought(self, buyer: int, item: str, tokens: int | None) -> Quoted:
        made = quoted(self.buyers[buyer], item, kind=ITEMS[item])
        self.toys.answer = {**self.toys.answer, "tokens": tokens}
        self._buy(made)
        return made

    @contextmanager
    def _work(self, work: Callable[[str], object]) -> Iterator[None]:
        """Let preparing an artefact do this."""
        usual, self.toys.work = self.toys.work, work
        try:
            yield
        finally:
            self.toys.work = usual

    def _buy(self, quote: Quoted) -> None:
        """Buy, and take a refusal that has its reasons."""
        buyer = quote.quote.buyer
        mandated = self.mandate if buyer == self.buyers[0] else None
        before = Sale.objects.filter(id=quote.quote.id).values_list("status", flat=True).first()
        try:
            buy(quote.token, buyer=Buyer(buyer, mandated), metadata=TEST)
        except InsufficientFunds:
            assert funds(buyer) < quote.quote.price
        except MandateBudget:
            assert quote.quote.price > 0
        except AlreadyEntitled:
            assert quote.quote.offer.ready
        except QuoteUsed:
            assert before == "voided"
        except SaleInProgress:
            assert before == "open"
        else:
            after = Sale.objects.get(id=quote.quote.id).status
            assert after == (before or "captured")


@pytest.mark.django_db
def test_any_sequence_keeps_the_books(toys: Toys) -> None:
    Market.toys = toys
    run_state_machine_as_test(
        Market,
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
