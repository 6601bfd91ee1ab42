"""The client against a running server, with a registry and a token."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from awareness_sdk import AwarenessClient
from latentmas.registry.data_file import load, read_entries
from latentmas.rest.scopes import KV_CACHE_COMPUTE
from marketplace.accounts.commands import create_token

MODELS = {"smollm2-135m", "gpt-4", "llama-3-8b"}


@pytest.fixture
def server(live_server, tmp_path: Path, settings) -> str:
    storages = dict(settings.STORAGES)
    storages["blobs"] = {**storages["blobs"], "OPTIONS": {"location": tmp_path / "blobs"}}
    load([entry for entry in read_entries() if entry.name in MODELS])
    with override_settings(STORAGES=storages, DATA_DIR=tmp_path):
        yield live_server.url


@pytest.fixture
def api_key(server: str) -> str:
    return create_token(User.objects.create_user("alice"), name="sdk", scopes=[KV_CACHE_COMPUTE])[1]


@pytest.fixture
def client(server: str, api_key: str):
    with AwarenessClient(api_key=api_key, base_url=server) as client:
        yield client
