"""A registry of a few models, an account with a token, and a folder of files of one's own."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from latentmas.registry.data_file import load, read_entries
from latentmas.rest.scopes import KV_CACHE_COMPUTE
from marketplace.accounts.commands import create_token

MODELS = {"smollm2-135m", "gemma-3-270m", "gpt-4", "claude-3-opus", "llama-3-8b", "mistral-7b", "deepseek-v3"}


@pytest.fixture
def own_files(tmp_path: Path, settings):
    storages = dict(settings.STORAGES)
    storages["blobs"] = {**storages["blobs"], "OPTIONS": {"location": tmp_path / "blobs"}}
    with override_settings(STORAGES=storages, DATA_DIR=tmp_path):
        yield tmp_path


@pytest.fixture
def registry(db):
    load([entry for entry in read_entries() if entry.name in MODELS])


@pytest.fixture
def user(db) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def token(user: User) -> str:
    return create_token(user, name="tests", scopes=[KV_CACHE_COMPUTE])[1]


@pytest.fixture
def api(registry, own_files, token) -> Client:
    """A client that shows the token."""
    return Client(headers={"Authorization": f"Bearer {token}"})
