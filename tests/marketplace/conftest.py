"""Every marketplace test has files of its own; a registry of a few models, and two listings to look at."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from latentmas.rest.scopes import (
    KV_CACHE_COMPUTE,
    MARKETPLACE_ADMIN,
    MEMORIES_READ,
    MEMORIES_WRITE,
    W_MATRICES_PUBLISH,
)
from marketplace.accounts.commands import create_token
from marketplace.agents.commands import Profile, register_agent
from tests.marketplace import sample

MODELS = ("smollm2-135m", "gemma-3-270m", "gpt-4", "llama-3-8b", "qwen-7b")


@pytest.fixture(autouse=True)
def _own_files(own_files: None) -> None:
    pass


@pytest.fixture
def registry(load_models: Callable[..., None]) -> None:
    load_models(*MODELS)


@pytest.fixture
def certified(registry: None) -> str:
    """A listing whose certificate is valid today."""
    return sample.make_listing(quality=sample.functional(0.97), at=timezone.now())


@pytest.fixture
def simulated(registry: None) -> str:
    return sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured())


@pytest.fixture
def api(registry: None, client_with: Callable[..., Client]) -> Client:
    """A client with a token that may compute and keep memories."""
    return client_with(KV_CACHE_COMPUTE, MEMORIES_READ, MEMORIES_WRITE)


@pytest.fixture
def seller(alice: User) -> str:
    """Alice's agent."""
    return register_agent(alice, Profile("alice-labs", "Alice"), metadata=sample.METADATA).id


@pytest.fixture
def publisher(seller: str, client_with: Callable[..., Client]) -> Client:
    """A client that may publish as Alice's agent."""
    return client_with(W_MATRICES_PUBLISH)


@pytest.fixture
def other_agent(db: None) -> Callable[[str], tuple[str, Client]]:
    """Makes the agent of another login, and a client that may publish as it."""

    def make(name: str) -> tuple[str, Client]:
        user = User.objects.create_user(name)
        agent = register_agent(user, Profile(f"{name}-maps", name), metadata=sample.METADATA).id
        return agent, client_of(user, W_MATRICES_PUBLISH)

    return make


@pytest.fixture
def curator(db: None) -> Client:
    """A client of somebody who may do what a curator does, but owns nothing."""
    user = User.objects.create_user("carol")
    user.user_permissions.add(Permission.objects.get(content_type__app_label="accounts", codename="curate"))
    return client_of(user, MARKETPLACE_ADMIN)


def client_of(user: User, *scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {create_token(user, name='tests', scopes=scopes)[1]}"})


@pytest.fixture
def member(db: None) -> Callable[..., Client]:
    """Makes a logged-in client of staff of one group: of a new login, or of one that is there."""

    def make(group: str, user: User | None = None) -> Client:
        user = user or User(username=f"{group}-1")
        user.is_staff = True
        user.save()
        user.groups.add(Group.objects.get(name=group))
        client = Client()
        client.force_login(user)
        return client

    return make
