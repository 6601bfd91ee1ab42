"""Disputes: what is set aside, who may do what and when, and where the money is in the end."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from latentmas.events import store
from latentmas.events.errors import VersionConflict
from latentmas.events.models import Event
from latentmas.events.rebuilding import check, chosen
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput, NotFound
from latentmas.protocol.money import Money
from marketplace.agents.queries import get_agent
from marketplace.claims import aggregate
from marketplace.claims.aggregate import WINDOW, DisputeState
from marketplace.claims.commands import (
    answer_dispute,
    erase_dispute_texts,
    open_dispute,
    resolve_dispute,
    withdraw_dispute,
)
from marketplace.claims.errors import DisputeClosed, DisputeExists, DisputeTooLate, NothingCharged, NotTheParty
from marketplace.claims.events import DisputeKind, Outcome
from marketplace.claims.models import Dispute, DisputeText
from marketplace.claims.queries import written_in
from marketplace.ledger.accounts import dispute, gateway, wallet
from marketplace.ledger.balances import balance_of
from marketplace.ledger.errors import InsufficientFunds, OwnMoney
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.posting import posted
from marketplace.ledger.verification import ledger_faults
from marketplace.payments.payout_commands import request_payout
from marketplace.sales.commands import refund_sale
from marketplace.sales.errors import RefundTooLarge, SaleNotCaptured
from marketplace.sales.events import RefundReason
from marketplace.sales.models import Entitlement, Sale
from tests.events.threads import PATIENCE_SECONDS, in_threads
from tests.marketplace.claims.conftest import WORDS
from tests.marketplace.sales.toys import TEST, Toys, bought, funds, total

pytestmark = pytest.mark.django_db
Open = Callable[..., Dispute]
REASON = "The file is as its card says."


def aside(sale: Sale) -> int:
    return balance_of(dispute(sale.id, "USD"))


def resolve(row: Dispute, outcome: Outcome, amount: int | None = None) -> Dispute:
    resolve_dispute(row, outcome=outcome, amount=amount, reason=REASON, metadata=TEST)
    row.refresh_from_db()
    return row


def pay_out(agent: str, amount: int) -> None:
    """Let money leave a wallet."""
    left = Transfer(wallet(agent, "USD"), gateway("manual", "USD"), amount)
    store.append(store.New(f"payout/{agent}", [posted(Purpose.PAYOUT, [left])]), metadata=TEST)


def test_an_open_dispute_sets_the_sellers_share_aside(sale: Sale, disputed: Open, maker: str, buyer: str) -> None:
    row = disputed()
    assert (row.status, row.kind, row.amount, row.reserved) == ("open", "defective", 1000, 800)
    assert (row.buyer, row.seller, row.outcome, row.ended_at) == (buyer, maker, None, None)
    assert (funds(maker), aside(sale), funds(buyer), total()) == (0, 800, 9_000, 0)
    assert list(ledger_faults()) == []


def test_no_more_is_set_aside_than_the_sellers_wallet_has(sale: Sale, disputed: Open, maker: str) -> None:
    pay_out(maker, 500)
    assert disputed().reserved == 300
    assert (funds(maker), aside(sale)) == (0, 300)


def test_a_wallet_below_zero_gives_nothing_and_falls_no_further(sale: Sale, disputed: Open, maker: str) -> None:
    pay_out(maker, 900)
    assert disputed().reserved == 0
    assert (funds(maker), aside(sale), total()) == (-100, 0, 0)


def test_what_is_in_dispute_is_not_paid_out(sale: Sale, disputed: Open, maker: str) -> None:
    row = disputed()
    with pytest.raises(InsufficientFunds):
        request_payout(get_agent(maker), Money(1, "USD"), destination="DE02 1203", metadata=TEST)
    resolve(row, Outcome.REJECTED)
    assert request_payout(get_agent(maker), Money(800, "USD"), destination="DE02 1203", metadata=TEST)


@pytest.mark.django_db(transaction=True)
def test_a_dispute_and_a_payout_at_one_moment_do_not_take_the_same_money(
    own_files: object, sale: Sale, disputed: Open, maker: str
) -> None:
    start = Barrier(2)

    def pay() -> bool:
        start.wait(PATIENCE_SECONDS)
        try:
            request_payout(get_agent(maker), Money(800, "USD"), destination="DE02 1203", metadata=TEST)
        except InsufficientFunds:
            return False
        return True

    def complain() -> int:
        start.wait(PATIENCE_SECONDS)
        return disputed().reserved

    paid, reserved = in_threads(pay, complain)
    assert (paid, reserved) in ((True, 0), (False, 800))
    assert (funds(maker), total(), list(ledger_faults())) == (0, 0, [])


def test_a_full_refund_takes_every_share_back(sale: Sale, disputed: Open, maker: str, buyer: str) -> None:
    row = resolve(disputed(), Outcome.REFUNDED)
    assert (row.status, row.outcome, row.refunded) == ("resolved", "refunded", 1000)
    assert (funds(buyer), funds(maker), aside(sale), total()) == (10_000, 0, 0, 0)
    sale.refresh_from_db()
    assert (sale.status, sale.refunded) == ("refunded", 1000)
    assert Entitlement.objects.get(sale=sale.id).ended_at is not None
    body = Event.objects.filter(type="sale.refunded").get().payload
    assert (body["reason"], body["by_curator"]) == ("dispute", True)


def test_a_part_is_refunded_and_the_rest_is_the_sellers_again(sale: Sale, disputed: Open, maker: str) -> None:
    row = resolve(disputed(), Outcome.PARTLY_REFUNDED, 250)
    assert (row.outcome, row.refunded) == ("partly-refunded", 250)
    assert (funds(maker), aside(sale), total()) == (600, 0, 0)
    sale.refresh_from_db()
    assert (sale.status, sale.refunded) == ("captured", 250)


def test_a_rejected_dispute_gives_nothing_back(sale: Sale, disputed: Open, maker: str, buyer: str) -> None:
    row = resolve(disputed(), Outcome.REJECTED)
    assert (row.outcome, row.refunded, row.ended_at) == ("rejected", 0, row.updated_at)
    assert (funds(maker), funds(buyer), aside(sale), total()) == (800, 9_000, 0, 0)


def test_what_the_seller_has_given_back_meanwhile_is_not_given_back_again(
    sale: Sale, disputed: Open, maker: str, buyer: str
) -> None:
    row = disputed()
    refund_sale(sale.id, amount=None, reason=RefundReason.GOODWILL, by_curator=False, metadata=TEST)
    assert (funds(maker), aside(sale)) == (-800, 800)
    row = resolve(row, Outcome.REFUNDED)
    assert (row.refunded, funds(maker), funds(buyer), aside(sale), total()) == (0, 0, 10_000, 0, 0)


def test_more_than_is_left_is_not_refunded_and_the_dispute_stays_open(sale: Sale, disputed: Open) -> None:
    row = disputed()
    with pytest.raises(RefundTooLarge, match="1001 minor units are asked for; 1000"):
        resolve(row, Outcome.PARTLY_REFUNDED, 1001)
    row.refresh_from_db()
    assert (row.status, aside(sale)) == ("open", 800)
    assert DisputeText.objects.count() == 1  # nor was the reason kept


@pytest.mark.parametrize(
    ("outcome", "amount"),
    [(Outcome.REFUNDED, 100), (Outcome.REJECTED, 100), (Outcome.PARTLY_REFUNDED, None), (Outcome.PARTLY_REFUNDED, 0)],
)
def test_an_amount_is_given_for_a_part_and_only_then(disputed: Open, outcome: Outcome, amount: int | None) -> None:
    with pytest.raises(InvalidInput):
        resolve(disputed(), outcome, amount)


def test_a_decision_needs_a_reason(disputed: Open) -> None:
    with pytest.raises(InvalidInput, match="the reason is empty"):
        resolve_dispute(disputed(), outcome=Outcome.REJECTED, reason=" ", metadata=TEST)


@pytest.mark.parametrize("party", ["buyer", "maker"])
def test_nobody_decides_his_own_dispute(disputed: Open, party: str) -> None:
    user = User.objects.get(username=party)
    with pytest.raises(OwnMoney):
        resolve_dispute(disputed(), outcome=Outcome.REFUNDED, reason=REASON, metadata=Metadata(actor=f"user:{user.pk}"))


def test_a_seller_answers_once(disputed: Open, maker: str) -> None:
    row = disputed()
    answer_dispute(row, agent=maker, text="It can.", metadata=TEST, expected=row.stream_version)
    row.refresh_from_db()
    assert row.status == "answered"
    assert written_in([row])[row.answer or ""] == "It can."
    with pytest.raises(DisputeClosed, match="the seller has answered"):
        answer_dispute(row, agent=maker, text="It can!", metadata=TEST, expected=row.stream_version)
    assert resolve(row, Outcome.REJECTED).status == "resolved"


def test_a_withdrawn_dispute_may_be_opened_again(sale: Sale, disputed: Open, maker: str, buyer: str) -> None:
    row = disputed()
    withdraw_dispute(row, agent=buyer, metadata=TEST, expected=row.stream_version)
    row.refresh_from_db()
    assert (row.status, funds(maker), aside(sale)) == ("withdrawn", 800, 0)
    again = disputed("It is not what the card says.", DisputeKind.NOT_AS_DESCRIBED)
    assert (again.status, again.kind, again.ended_at, aside(sale)) == ("open", "not-as-described", None, 800)


def test_a_purchase_has_one_open_dispute(disputed: Open) -> None:
    disputed()
    with pytest.raises(DisputeExists, match="is open"):
        disputed()


def test_what_a_curator_has_decided_is_not_disputed_again(disputed: Open) -> None:
    row = resolve(disputed(), Outcome.REJECTED)
    with pytest.raises(DisputeExists, match="is resolved"):
        disputed()
    with pytest.raises(DisputeClosed, match="is resolved"):
        resolve(row, Outcome.REFUNDED)


def test_disputes_are_opened_within_two_weeks(sale: Sale) -> None:
    assert sale.captured_at is not None
    wanted = {"agent": sale.buyer, "kind": DisputeKind.OTHER, "text": WORDS, "metadata": TEST}
    with pytest.raises(DisputeTooLate, match="within 14 days"):
        open_dispute(sale, at=sale.captured_at + WINDOW + timedelta(seconds=1), **wanted)
    open_dispute(sale, at=sale.captured_at + WINDOW, **wanted)


def test_what_was_free_or_given_back_is_not_disputed(sale: Sale, disputed: Open, toys: Toys, buyer: str) -> None:
    refund_sale(sale.id, amount=None, reason=RefundReason.GOODWILL, by_curator=False, metadata=TEST)
    with pytest.raises(NothingCharged):
        disputed()
    toys.put("gift", seller=sale.seller, price=0)
    gift = Sale.objects.get(id=bought(buyer, "gift"))
    assert gift.captured_at is not None
    with pytest.raises(NothingCharged):
        open_dispute(gift, agent=buyer, kind=DisputeKind.OTHER, text=WORDS, at=gift.captured_at, metadata=TEST)


def test_a_purchase_that_came_to_nothing_is_not_disputed(sale: Sale, toys: Toys, buyer: str) -> None:
    def fail(_sale: str) -> None:
        raise InvalidInput("it cannot be made")

    toys.work = fail
    with pytest.raises(InvalidInput):
        bought(buyer)
    voided = Sale.objects.get(status="voided")
    with pytest.raises(SaleNotCaptured):
        open_dispute(voided, agent=buyer, kind=DisputeKind.OTHER, text=WORDS, at=voided.updated_at, metadata=TEST)


def test_each_step_belongs_to_its_party(sale: Sale, disputed: Open, maker: str, buyer: str) -> None:
    with pytest.raises(NotTheParty, match="only the buyer disputes"):
        open_dispute(sale, agent=maker, kind=DisputeKind.OTHER, text=WORDS, at=sale.updated_at, metadata=TEST)
    row = disputed()
    with pytest.raises(NotTheParty, match="only the seller answers"):
        answer_dispute(row, agent=buyer, text="Yes.", metadata=TEST, expected=row.stream_version)
    with pytest.raises(NotTheParty, match="only the buyer withdraws"):
        withdraw_dispute(row, agent=maker, metadata=TEST, expected=row.stream_version)


def test_a_step_on_what_has_changed_meanwhile_is_refused(disputed: Open, maker: str, buyer: str) -> None:
    row = disputed()
    answer_dispute(row, agent=maker, text="It can.", metadata=TEST, expected=row.stream_version)
    with pytest.raises(VersionConflict):
        withdraw_dispute(row, agent=buyer, metadata=TEST, expected=row.stream_version)


@pytest.mark.parametrize(("text", "what"), [(" ", "empty"), ("x" * 4_001, "4001"), ("a\x00b", "control")])
def test_what_is_written_is_checked(disputed: Open, text: str, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        disputed(text)


def test_no_event_holds_what_was_written_and_it_can_be_erased(sale: Sale, disputed: Open) -> None:
    row = disputed()
    with pytest.raises(CommandError, match=r"CONFLICT.*still needed"):
        call_command("erase_texts", "dispute", row.id)
    resolve(row, Outcome.REJECTED)
    bodies = b"".join(bytes(event.body) for event in Event.objects.all())
    assert WORDS.encode() not in bodies
    assert REASON.encode() not in bodies
    assert erase_dispute_texts(row) == 2
    assert set(written_in([row]).values()) == {"(erased)"}


def test_there_is_no_step_without_a_dispute() -> None:
    with pytest.raises(NotFound):
        aggregate.decide_withdraw("x", DisputeState())


def test_a_rebuild_from_the_log_gives_the_same_rows(sale: Sale, disputed: Open, maker: str) -> None:
    row = disputed()
    answer_dispute(row, agent=maker, text="It can.", metadata=TEST, expected=row.stream_version)
    resolve(row, Outcome.PARTLY_REFUNDED, 100)
    assert check(chosen(["project_disputes", "project_postings", "project_sales"])) == []
