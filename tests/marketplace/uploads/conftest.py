"""A seller: Alice's agent, with a client that may publish as it."""

import pytest

from latentmas.rest.scopes import W_MATRICES_PUBLISH
from marketplace.agents.commands import Profile, register_agent
from tests.marketplace.sample import METADATA


@pytest.fixture
def seller(alice):
    return register_agent(alice, Profile("alice-labs", "Alice"), metadata=METADATA).id


@pytest.fixture
def publisher(seller, client_with):
    return client_with(W_MATRICES_PUBLISH)
