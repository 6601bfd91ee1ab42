import pytest
from django.contrib.auth.models import User
from django.test import Client

from latentmas.scopes import KV_CACHE_COMPUTE, MEMORIES_READ, MEMORIES_WRITE
from marketplace.accounts.commands import create_token


@pytest.fixture
def alice(db) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def api(registry, alice) -> Client:
    """A client with a token that may compute and keep memories."""
    token = create_token(alice, name="tests", scopes=[KV_CACHE_COMPUTE, MEMORIES_READ, MEMORIES_WRITE])[1]
    return Client(headers={"Authorization": f"Bearer {token}"})
