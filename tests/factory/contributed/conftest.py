"""A registry of a few models, files of one's own, and clients with and without the scopes."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from latentmas.registry.data_file import load, read_entries
from latentmas.rest.scopes import CALIBRATION_PACKS_WRITE, KV_CACHE_COMPUTE, W_MATRICES_GENERATE
from marketplace.accounts.commands import create_token

MODELS = {"gpt-4", "claude-3-opus", "smollm2-135m", "gemma-3-270m", "bert", "llama-3-8b"}


@pytest.fixture
def files(tmp_path: Path, settings):
    storages = dict(settings.STORAGES)
    storages["blobs"] = {**storages["blobs"], "OPTIONS": {"location": tmp_path / "blobs"}}
    with override_settings(STORAGES=storages, DATA_DIR=tmp_path, CACHE_DIR=tmp_path / "cache"):
        yield tmp_path


@pytest.fixture
def registry(db) -> None:
    load([entry for entry in read_entries() if entry.name in MODELS])


@pytest.fixture
def user(db) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def api(registry, files, user: User) -> Client:
    scopes = [CALIBRATION_PACKS_WRITE, W_MATRICES_GENERATE]
    return Client(headers={"Authorization": f"Bearer {create_token(user, name='tests', scopes=scopes)[1]}"})


@pytest.fixture
def other(registry, files, user: User) -> Client:
    """A client whose token has neither scope."""
    return Client(headers={"Authorization": f"Bearer {create_token(user, name='no', scopes=[KV_CACHE_COMPUTE])[1]}"})
