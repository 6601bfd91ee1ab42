"""A webhook of Alice's for two types of events, and events to send."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from latentmas.rest.scopes import WEBHOOKS_WRITE
from marketplace.agents.commands import Profile, register_agent
from marketplace.agents.models import Agent
from marketplace.webhooks.commands import create_webhook
from marketplace.webhooks.models import Webhook
from tests.marketplace.sample import METADATA

URL = "https://hooks.example/latentmas"
TYPES = ["agent.registered", "agent.suspended"]


@pytest.fixture
def subscriber(client_with: Callable[..., Client]) -> Client:
    return client_with(WEBHOOKS_WRITE)


@pytest.fixture
def made(alice: User) -> tuple[Webhook, str]:
    """A webhook and its secret."""
    return create_webhook(alice, url=URL, types=TYPES)


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def happen(bob: User) -> Callable[[str], Agent]:
    """Makes an agent of Bob's: one event of the type `agent.registered`."""
    return lambda handle: register_agent(bob, Profile(handle, "Bob"), metadata=METADATA)
