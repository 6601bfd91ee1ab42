"""What every test may need: strict JAX, files of its own, models in the registry, and Alice with her tokens."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from pytest_django import Settings

from latentmas.events import triggers
from latentmas.registry import data_file
from marketplace.accounts.commands import create_token

# Read where JAX is imported, which most tests never do.
os.environ |= {"JAX_NUMPY_RANK_PROMOTION": "raise", "JAX_NUMPY_DTYPE_PROMOTION": "strict"}

DATABASE = {"db", "transactional_db", "live_server", "django_db_setup"}
THREADS = pytest.StashKey[int]()  # torch's own number of them


@pytest.hookimpl(tryfirst=True)  # before markers select tests
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that the second run, on PostgreSQL, is for."""
    for item in items:
        marked = item.get_closest_marker("django_db") or item.get_closest_marker("store")
        if marked or DATABASE & set(getattr(item, "fixturenames", ())):
            item.add_marker("database")


@pytest.hookimpl(tryfirst=True)  # before fixtures run a model
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give torch one thread, but for real models: those of a tiny one wait for each other longer than they compute."""
    if torch := sys.modules.get("torch"):
        threads = item.config.stash.setdefault(THREADS, torch.get_num_threads())
        torch.set_num_threads(threads if item.get_closest_marker("models") else 1)


@pytest.fixture(autouse=True)
def _log_can_be_flushed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lift the append-only triggers before the flush that ends a test with real transactions.

    The flush emits post_migrate, which installs them and the head row again.
    """
    marker = request.node.get_closest_marker("django_db")
    transactional = bool({"transactional_db", "live_server"} & set(request.fixturenames)) or bool(
        marker and marker.kwargs.get("transaction")
    )
    if transactional:
        request.getfixturevalue("transactional_db")  # set up before this fixture, so flushed after it
    yield
    if transactional:
        triggers.remove(connection)


@pytest.fixture
def blobs_folder(tmp_path: Path, settings: Settings) -> Path:
    """Let blobs be kept in a folder of the test's own, which the first one creates."""
    folder = tmp_path / "blobs"
    backend = {"BACKEND": "latentmas.blobs.local.LocalFiles", "OPTIONS": {"location": folder}}
    settings.STORAGES = settings.STORAGES | {"blobs": backend, "local": backend}
    return folder


@pytest.fixture
def own_files(blobs_folder: Path, tmp_path: Path, settings: Settings) -> Path:
    """Let blobs, data and cache be kept below a folder of the test's own."""
    settings.DATA_DIR, settings.CACHE_DIR = tmp_path, tmp_path / "cache"
    return tmp_path


@pytest.fixture
def load_models(db: None) -> Callable[..., None]:
    """Puts the named models of the data file into the registry."""

    def load(*names: str) -> None:
        data_file.load([entry for entry in data_file.read_entries() if entry.name in names])

    return load


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def token_with(alice: User) -> Callable[..., str]:
    """Makes a token of Alice's with the given scopes."""
    return lambda *scopes: create_token(alice, name="tests", scopes=scopes)[1]


@pytest.fixture
def client_with(token_with: Callable[..., str]) -> Callable[..., Client]:
    """Makes a client that sends a token of Alice's with the given scopes."""
    return lambda *scopes: Client(headers={"Authorization": f"Bearer {token_with(*scopes)}"})
