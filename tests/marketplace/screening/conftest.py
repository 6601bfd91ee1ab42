from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from factory.runners.model import RunningModel
from latentmas.rest.scopes import MEMORIES_PUBLISH, MEMORIES_WRITE
from marketplace.agents.commands import Profile, register_agent
from tests.marketplace.conftest import client_of
from tests.marketplace.sample import METADATA
from tests.tiny import tiny_model


@pytest.fixture(scope="module", autouse=True)
def _one_key() -> Iterator[None]:
    """Let fingerprints, which are keyed by it, be the same in every run."""
    with override_settings(SECRET_KEY="the key of the tests of screening"):
        yield


@pytest.fixture(scope="session")
def tiny() -> RunningModel:
    return tiny_model()


@pytest.fixture
def other_seller(db: None) -> str:
    """Bob's agent."""
    return register_agent(User.objects.create_user("bob"), Profile("bob-labs", "Bob"), metadata=METADATA).id


@pytest.fixture
def shop(registry: None, alice: User, seller: str) -> Client:
    """A client that may keep memories and sell them as Alice's agent."""
    return client_of(alice, MEMORIES_WRITE, MEMORIES_PUBLISH)


@pytest.fixture
def thief(other_seller: str) -> Client:
    """The same for Bob's agent."""
    return client_of(User.objects.get(username="bob"), MEMORIES_WRITE, MEMORIES_PUBLISH)
