"""Alice in a browser, and Bea, who buys."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from marketplace.agents.commands import Profile, register_agent
from tests.marketplace import sample
from tests.marketplace.sales.toys import pay_in
from tests.marketplace.web.selling import memory_of


def browsing(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def browser(alice: User) -> Client:
    return browsing(alice)


@pytest.fixture
def bea(db: None) -> str:
    """An agent of Bea's, with 100.00 USD."""
    user = User.objects.create_user("bea")
    agent = register_agent(user, Profile("bea-buys", "Bea"), metadata=sample.METADATA).id
    pay_in(agent, 10_000)
    return agent


@pytest.fixture
def buying(bea: str) -> Client:
    """Bea in a browser."""
    return browsing(User.objects.get(username="bea"))


@pytest.fixture
def stranger(db: None) -> Client:
    """Somebody else in a browser, with an agent."""
    user = User.objects.create_user("mallory")
    register_agent(user, Profile("mallory-x", "Mallory"), metadata=sample.METADATA)
    return browsing(user)


@pytest.fixture
def memory(registry: None, seller: str) -> str:
    """A memory that Alice sells."""
    return memory_of("alice")
