"""What `verify_ledger` finds."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from marketplace.ledger.accounts import hold, platform, wallet
from marketplace.ledger.events import Purpose, Transfer
from marketplace.ledger.models import Balance, LedgerTransfer
from tests.marketplace.ledger.conftest import BANK, post

pytestmark = pytest.mark.django_db
ADA, BO = wallet("ada", "USD"), wallet("bo", "USD")


@pytest.fixture
def ledger():
    post(Transfer(BANK, ADA, 1000))
    post(Transfer(ADA, hold("s", "USD"), 100), purpose=Purpose.HOLD)
    post(Transfer(hold("s", "USD"), BO, 80), Transfer(hold("s", "USD"), platform("USD"), 20), purpose=Purpose.CAPTURE)
    post(Transfer("gateway:manual:EUR", wallet("ada", "EUR"), 5))


def verified() -> str:
    out = StringIO()
    call_command("verify_ledger", stdout=out)
    return out.getvalue()


def found() -> list[str]:
    out = StringIO()
    with pytest.raises(CommandError, match=r"faults? in a ledger of 5 transfers"):
        call_command("verify_ledger", stdout=out)
    return out.getvalue().splitlines()


def test_a_ledger_that_adds_up(ledger):
    assert verified() == "5 transfers, no fault.\n"


def test_an_empty_ledger_adds_up():
    assert verified() == "0 transfers, no fault.\n"


def test_a_balance_that_was_changed_by_hand(ledger):
    Balance.objects.filter(account=ADA).update(amount=901)
    assert found() == [f"{ADA} has 901; its transfers make 900", "the accounts in USD add up to 1, not 0"]


def test_a_balance_that_is_gone(ledger):
    Balance.objects.filter(account=BO).delete()
    assert found() == [f"{BO} has transfers and no balance", "the accounts in USD add up to -80, not 0"]


def test_a_balance_that_was_invented(ledger):
    Balance.objects.create(account=wallet("eve", "USD"), agent="eve", currency="USD", amount=3)
    assert found()[0] == "wallet:eve:USD has 3; its transfers make 0"


def test_a_transfer_that_was_changed_by_hand(ledger):
    LedgerTransfer.objects.filter(credit=platform("USD")).update(amount=21)
    assert found() == ["hold:s:USD has 0; its transfers make -1", "the accounts in USD add up to 1, not 0"]


def test_a_hold_that_gave_more_than_it_had():
    post(Transfer(BANK, ADA, 1))
    post(Transfer(hold("s", "USD"), ADA, 4), purpose=Purpose.VOID)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_ledger", stdout=out)
    assert out.getvalue() == "hold:s:USD is below zero: -4\n"
