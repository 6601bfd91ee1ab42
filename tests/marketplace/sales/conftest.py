"""A seller, a buyer with money, and toys that are sold as memories and as W-Matrices."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from latentmas.rest.scopes import PURCHASES_WRITE
from marketplace.agents.commands import Profile, register_agent
from marketplace.sales import goods
from marketplace.sales.goods import Kind
from tests.marketplace.conftest import client_of
from tests.marketplace.sales.toys import TEST, Toys, pay_in


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> Toys:
    """The goods of two kinds: a memory is bought per use, a W-Matrix once."""
    made = Toys()
    monkeypatch.setattr(goods, "_GOODS", {Kind.MEMORY: made, Kind.W_MATRIX: made})
    return made


@pytest.fixture
def agent_of(db: None) -> Callable[[str], str]:
    """Makes the agent of a login of its own."""

    def make(name: str) -> str:
        user = User.objects.create_user(name)
        return register_agent(user, Profile(f"{name}-agent", name), metadata=TEST).id

    return make


@pytest.fixture
def maker(agent_of: Callable[[str], str], toys: Toys) -> str:
    """The seller of the toy."""
    agent = agent_of("maker")
    toys.put(seller=agent)
    return agent


@pytest.fixture
def buyer(agent_of: Callable[[str], str]) -> str:
    """An agent with 100.00 USD."""
    agent = agent_of("buyer")
    pay_in(agent, 10_000)
    return agent


@pytest.fixture
def shop(db: None) -> Callable[[str], Client]:
    """Makes a client that may buy and refund as the agent of a login."""
    return lambda name: client_of(User.objects.get(username=name), PURCHASES_WRITE)
