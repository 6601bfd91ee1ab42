"""Whatever dies between two steps of a purchase, reconciling brings the money back and nothing is delivered twice."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from marketplace.sales.commands import Buyer, capture_sale, open_sale
from marketplace.sales.errors import QuoteUsed, SaleVoidedMeanwhile
from marketplace.sales.goods import Prepared
from marketplace.sales.models import Entitlement, Sale
from marketplace.sales.purchasing import buy
from marketplace.sales.quotes import Quoted
from marketplace.sales.reconciling import Reconciled, reconcile
from tests.marketplace.sales.toys import TEST, Toys, bought, funds, quoted, total

pytestmark = pytest.mark.django_db
PREPARED = Prepared("sha256:" + "f" * 64, 1, "late.safetensors")


@pytest.fixture
def left_open(maker: str, buyer: str) -> Quoted:
    """A purchase whose process died after its first commit."""
    made = quoted(buyer)
    open_sale(made.quote, Buyer(buyer), at=timezone.now(), metadata=TEST)
    return made


def test_a_hold_that_has_run_out_is_given_back(left_open: Quoted, buyer: str) -> None:
    now = timezone.now()
    assert reconcile(at=now, metadata=TEST) == Reconciled(voided=0, open=1)
    assert funds(buyer) == 9_000
    later = now + timedelta(seconds=901)
    assert reconcile(at=later, metadata=TEST) == Reconciled(voided=1, open=0)
    assert reconcile(at=later, metadata=TEST) == Reconciled(voided=0, open=0)
    row = Sale.objects.get()
    assert (row.status, row.void_reason, funds(buyer), total()) == ("voided", "expired", 10_000, 0)


def test_a_process_that_is_only_slow_finds_its_sale_voided(left_open: Quoted, maker: str, buyer: str) -> None:
    reconcile(at=timezone.now(), everything=True, metadata=TEST)
    with pytest.raises(SaleVoidedMeanwhile):
        capture_sale(left_open.quote.id, PREPARED, metadata=TEST)
    assert (funds(buyer), funds(maker), Entitlement.objects.count()) == (10_000, 0, 0)


def test_a_sale_that_was_captured_late_is_left_alone(left_open: Quoted, maker: str) -> None:
    capture_sale(left_open.quote.id, PREPARED, metadata=TEST)
    capture_sale(left_open.quote.id, PREPARED, metadata=TEST)
    assert reconcile(at=timezone.now() + timedelta(days=1), metadata=TEST) == Reconciled(voided=0, open=0)
    assert (Sale.objects.get().status, funds(maker)) == ("captured", 800)


def test_the_buyer_who_asks_again_after_the_hold_need_not_wait_for_it(
    left_open: Quoted, buyer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = timezone.now() + timedelta(seconds=901)
    monkeypatch.setattr(timezone, "now", lambda: later)
    with pytest.raises(QuoteUsed, match="expired"):
        buy(left_open.token, buyer=Buyer(buyer), metadata=TEST)
    assert funds(buyer) == 10_000


def test_reconciling_while_an_artefact_is_prepared_charges_nothing(maker: str, buyer: str, toys: Toys) -> None:
    toys.work = lambda sale: reconcile(at=timezone.now(), everything=True, metadata=TEST)
    with pytest.raises(SaleVoidedMeanwhile):
        bought(buyer)
    assert (Sale.objects.get().status, funds(buyer), funds(maker)) == ("voided", 10_000, 0)


def test_the_command_says_what_it_did(left_open: Quoted) -> None:
    said = StringIO()
    call_command("reconcile", stdout=said)
    call_command("reconcile", all=True, stdout=said)
    assert said.getvalue() == "0 voided, 1 open\n1 voided, 0 open\n"
