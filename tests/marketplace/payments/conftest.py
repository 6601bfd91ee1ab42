"""Alice's agent pays in and out; Carol, a curator, decides."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from latentmas.events.types import Metadata
from latentmas.protocol.money import Money
from latentmas.rest.scopes import PAYOUTS_WRITE, TOP_UPS_WRITE, WALLET_READ
from marketplace.agents.models import Agent
from marketplace.ledger.accounts import wallet
from marketplace.ledger.balances import balance_of
from marketplace.ledger.verification import ledger_faults
from marketplace.payments.by_hand import top_up_by_hand

CURATOR = Metadata(actor="command:test")


@pytest.fixture
def agent(seller: str) -> Agent:
    return Agent.objects.get(id=seller)


@pytest.fixture
def payer(seller: str, client_with: Callable[..., Client]) -> Client:
    """A client that may do everything with the wallet of Alice's agent."""
    return client_with(WALLET_READ, TOP_UPS_WRITE, PAYOUTS_WRITE)


@pytest.fixture
def held(agent: Agent) -> Callable[[], int]:
    """Returns what the wallet of Alice's agent holds in USD."""
    return lambda: balance_of(wallet(agent.id, "USD"))


@pytest.fixture
def funded(agent: Agent) -> str:
    """The id of a top-up of 1000 USD that has come in."""
    return top_up_by_hand(agent, Money(1000, "USD"), reason="a test", metadata=CURATOR)


@pytest.fixture(autouse=True)
def _adds_up(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test has done, the ledger adds up."""
    yield
    if "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        assert list(ledger_faults()) == []


@pytest.fixture
def carol(db: None) -> User:
    return User.objects.create_user("carol")
