"""Alice acts for one agent with an Ed25519 key, Charlie is a stranger."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth.models import User
from django.test import Client

from latentmas.rest.scopes import AGENTS_WRITE
from marketplace.agents.commands import Profile, register_agent
from marketplace.agents.models import Agent
from tests.marketplace.sample import METADATA

PROFILE = Profile("alice-labs", "Alice's laboratory", "Maps between small models.")


@pytest.fixture
def charlie(db) -> User:
    return User.objects.create_user("charlie")


@pytest.fixture
def agent(alice: User) -> Agent:
    return register_agent(alice, PROFILE, metadata=METADATA)


@pytest.fixture
def writer(client_with) -> Client:
    """A client with a token of Alice's that may change agents."""
    return client_with(AGENTS_WRITE)


@pytest.fixture
def private_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)


@pytest.fixture
def public_key(private_key: Ed25519PrivateKey) -> str:
    return base64.b64encode(private_key.public_key().public_bytes_raw()).decode()
