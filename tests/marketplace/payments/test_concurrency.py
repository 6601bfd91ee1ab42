"""Several at once: no wallet is spent twice, and no payment is credited twice."""

from functools import partial

import pytest
from django.contrib.auth.models import User

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from latentmas.protocol.money import Money
from marketplace.agents.commands import Profile, register_agent
from marketplace.ledger.accounts import wallet
from marketplace.ledger.balances import balance_of
from marketplace.ledger.errors import InsufficientFunds
from marketplace.payments.by_hand import top_up_by_hand
from marketplace.payments.gateways.interface import Outcome, Payment, Verdict
from marketplace.payments.models import Payout
from marketplace.payments.payout_commands import cancel_payout, request_payout
from marketplace.payments.top_up_commands import begin, record_outcome
from tests.events.threads import in_threads
from tests.marketplace.payments.conftest import CURATOR

pytestmark = pytest.mark.django_db(transaction=True)
BY = Metadata(actor="test")
USD = "USD"


@pytest.fixture
def agent():
    owner = User.objects.create_user("alice")
    return register_agent(owner, Profile("alice-labs", "Alice"), metadata=CURATOR)


def tried(work):
    try:
        work()
    except LatentMASError as error:
        return type(error)
    return None


def test_payouts_at_once_never_exceed_the_wallet(agent):
    top_up_by_hand(agent, Money(1000, USD), reason="a test", metadata=CURATOR)
    ask = partial(request_payout, agent, Money(300, USD), destination="DE02", metadata=BY)
    ended = in_threads(*[partial(tried, ask)] * 8)
    assert (ended.count(None), ended.count(InsufficientFunds)) == (3, 5)
    assert (balance_of(wallet(agent.id, USD)), Payout.objects.count()) == (100, 3)


def test_a_payment_that_several_messages_tell_of_at_once_is_credited_once(agent):
    begin(agent, "scripted", Payment("t", Money(500, USD)), metadata=BY)
    paid = Outcome(Verdict.PAID, "ref", received=Money(500, USD))
    in_threads(*[partial(record_outcome, "t", paid, metadata=BY)] * 6)
    assert balance_of(wallet(agent.id, USD)) == 500


def test_a_payout_that_is_cancelled_twice_at_once_comes_back_once(agent):
    top_up_by_hand(agent, Money(100, USD), reason="a test", metadata=CURATOR)
    payout = request_payout(agent, Money(100, USD), destination="DE02", metadata=BY)
    row = Payout.objects.get(id=payout)
    ended = in_threads(*[partial(tried, partial(cancel_payout, row, metadata=BY))] * 4)
    assert (ended.count(None), balance_of(wallet(agent.id, USD))) == (1, 100)
