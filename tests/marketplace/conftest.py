"""Every marketplace test has its own folder of files; a registry of a few models, and Alice with her tokens."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from latentmas.registry.data_file import load, read_entries
from latentmas.rest.scopes import KV_CACHE_COMPUTE, MEMORIES_READ, MEMORIES_WRITE
from marketplace.accounts.commands import create_token

MODELS = {"smollm2-135m", "gemma-3-270m", "gpt-4", "llama-3-8b", "qwen-7b"}


@pytest.fixture(autouse=True)
def _own_blobs(tmp_path: Path, settings):
    storages = dict(settings.STORAGES)
    storages["blobs"] = {**storages["blobs"], "OPTIONS": {"location": tmp_path / "blobs"}}
    with override_settings(STORAGES=storages):
        yield


@pytest.fixture
def registry(db):
    load([entry for entry in read_entries() if entry.name in MODELS])


@pytest.fixture
def alice(db) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def client_with(alice) -> Callable[..., Client]:
    """Makes a client that sends a token of Alice's with the given scopes."""

    def make(*scopes: str) -> Client:
        token = create_token(alice, name="tests", scopes=scopes)[1]
        return Client(headers={"Authorization": f"Bearer {token}"})

    return make


@pytest.fixture
def api(registry, client_with) -> Client:
    """A client with a token that may compute and keep memories."""
    return client_with(KV_CACHE_COMPUTE, MEMORIES_READ, MEMORIES_WRITE)
