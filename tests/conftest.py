"""What every test may need: strict JAX, files of its own, models in the registry, and Alice with her tokens."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import hypothesis
import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.cache import cache
from django.db import connection
from django.db.models.signals import post_migrate
from django.test import Client
from pytest_django import Settings

from latentmas import kept_answers, outbound
from latentmas.events import triggers
from latentmas.registry import data_file
from marketplace.accounts.commands import create_token
from tests.documented import require_documented
from tests.remote import Remote, serving

if TYPE_CHECKING:
    from tests.marketplace.payments.gateways.facilitator import Facilitator

# Read where JAX is imported, which most tests never do.
os.environ |= {"JAX_NUMPY_RANK_PROMOTION": "raise", "JAX_NUMPY_DTYPE_PROMOTION": "strict"}

# A busy machine is no failure: no example has a deadline.
hypothesis.settings.register_profile("patient", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("patient")

RECURSION_LIMIT = sys.getrecursionlimit()

DATABASE = {"db", "transactional_db", "live_server", "django_db_setup"}
THREADS = pytest.StashKey[int]()  # torch's own number of them


def pytest_configure() -> None:
    """Send messages nowhere but to a worker of this process, where a test starts one."""
    from latentmas.celery import app

    app.conf.update(broker_url="memory://", broker_transport_options={"polling_interval": 0.02})


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


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Let the groups that a migration makes outlive the flush that ends a test with real transactions."""
    with django_db_blocker.unblock():
        rows = Permission.objects.exclude(group=None).values_list("group__name", "content_type__app_label", "codename")
        granted = list(rows)

    def restore(**_: Any) -> None:
        for name, app, codename in granted:
            group, _new = Group.objects.get_or_create(name=name)
            group.permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))

    # The last app's: all others have their permissions again by then.
    post_migrate.connect(restore, sender=list(apps.get_app_configs())[-1], weak=False)


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


@pytest.fixture(autouse=True)
def _bounded_recursion() -> None:
    """Undo what a library for signing payments does on import: with its limit, nested JSON overflows the C stack."""
    sys.setrecursionlimit(RECURSION_LIMIT)


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    """Let no test be throttled for the requests of those before it, nor see their answers."""
    cache.clear()
    kept_answers.forget()


@pytest.fixture(autouse=True)
def _documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every answer of the API in any test be one that the OpenAPI document has."""
    request = Client.request

    def checked(client: Client, **asked: Any) -> Any:
        response = request(client, **asked)
        require_documented(asked["REQUEST_METHOD"], response)
        return response

    monkeypatch.setattr(Client, "request", checked)


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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's S3 server on a free port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, own_files: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let blobs be kept below the prefix `files` of a bucket of the test's own, and return it."""
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    name = f"test-{uuid4().hex}"
    options = {"bucket_name": name, "endpoint_url": s3_server, "region_name": "us-east-1", "location": "files"}
    options["querystring_expire"] = settings.BLOBS_URL_SECONDS
    backend = {"BACKEND": "latentmas.blobs.s3.S3Files", "OPTIONS": options}
    settings.STORAGES = settings.STORAGES | {"blobs": backend, "s3": backend}
    return boto3.resource("s3", endpoint_url=s3_server, region_name="us-east-1").create_bucket(Bucket=name)


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


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """An HTTPS server that passes for every host that the outbound client calls."""
    with serving(tmp_path) as server:
        monkeypatch.setattr(outbound, "INTERNET", server.network())
        yield server


@pytest.fixture
def facilitator(settings: Settings, remote: Remote) -> "Facilitator":
    """Our x402 facilitator, who knows that the payer has 100 USDC; the server is configured for it."""
    # Imported here: what signs payments takes its second, and few tests pay.
    from tests.marketplace.payments.gateways.facilitator import Facilitator
    from tests.marketplace.payments.gateways.wallets import ASSET, PAY_TO, PAYER

    settings.X402_FACILITATOR_URL, settings.X402_PAY_TO = "https://facilitator.example", PAY_TO
    settings.X402_NETWORK, settings.X402_ASSET = ASSET.network, ASSET.address
    settings.X402_ASSET_NAME, settings.X402_ASSET_VERSION = ASSET.name, ASSET.version
    double = Facilitator(balances={PAYER.address.lower(): 100_000_000})
    double.listen(remote)
    return double
