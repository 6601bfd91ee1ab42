"""Files in each of the storages, and a way to S3 that can be disturbed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from tests.blobs.proxy import Proxy


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest) -> str:
    """Runs the test once for each storage."""
    request.getfixturevalue("own_files" if request.param == "local" else "bucket")
    return str(request.param)


@pytest.fixture
def files_in(own_files: Path, request: pytest.FixtureRequest) -> Callable[[str], list[str]]:
    """Names everything that is in a storage, unfinished files too."""

    def names(storage: str) -> list[str]:
        if storage == "local":
            return [path.name for path in (own_files / "blobs").rglob("*") if path.is_file()]
        bucket = request.getfixturevalue("bucket")
        unfinished = (own_files / "cache/incoming").rglob("*")
        uploads = bucket.multipart_uploads.all()
        return [each.key for each in bucket.objects.all()] + [path.name for path in unfinished] + [*map(str, uploads)]

    return names


@pytest.fixture
def configure(settings: Settings) -> Callable[..., None]:
    """Changes options of the bucket that blobs are kept in."""

    def change(**options: Any) -> None:
        backend = settings.STORAGES["blobs"]
        changed = backend | {"OPTIONS": backend["OPTIONS"] | options}
        settings.STORAGES = settings.STORAGES | {"blobs": changed, "s3": changed}

    return change


@pytest.fixture
def proxied(
    bucket: Any, s3_server: str, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Proxy]]:
    """Puts a proxy between the product and S3; one attempt a call, so that a failure is quick."""
    monkeypatch.setattr("latentmas.blobs.s3.ATTEMPTS", 1)
    with ExitStack() as opened:

        def start(**disturbance: Any) -> Proxy:
            proxy = opened.enter_context(Proxy(s3_server, **disturbance))
            configure(endpoint_url=proxy.address)
            return proxy

        yield start
