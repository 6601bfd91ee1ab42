"""Checks of what the processes use besides the database: workers, storage, disk, and the weights of models."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from celery import Celery
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from latentmas import local_broker
from latentmas.health.findings import Finding, note, ok, wrong
from latentmas.runners.weights import installed_models

PING_SECONDS = 2.0
GIGABYTE = 1e9


def workers() -> Iterator[Finding]:
    """Ask every worker for an answer, over the broker."""
    if settings.CELERY_BROKER_URL.startswith(f"{local_broker.SCHEME}:"):
        yield note(
            "workers cannot be asked over a broker of files; a job that waits long is their sign",
            "Set CELERY_BROKER_URL to a RabbitMQ or a Redis where others use this server.",
        )
        return
    with Celery(broker=settings.CELERY_BROKER_URL, set_as_current=False) as app:
        answers = app.control.inspect(timeout=PING_SECONDS).ping() or {}
    if answers:
        yield ok(f"workers that answer: {', '.join(sorted(answers))}")
    else:
        yield wrong(
            f"no worker answered within {PING_SECONDS:g} seconds: jobs wait until one does",
            "Start one: `celery --app latentmas.celery worker`.",
        )


def writable_storage() -> Iterator[Finding]:
    """Write a few bytes where blobs are kept, and delete them."""
    storage = storages["blobs"]
    try:
        name = storage.save(f"doctor-{uuid4().hex}", ContentFile(b"written by manage.py doctor; may be deleted"))
        storage.delete(name)
    except Exception as error:  # each storage has errors of its own
        yield wrong(
            f"the storage of files cannot be written: {error}",
            "Check the rights of this process and, for object storage, bucket and credentials.",
        )
    else:
        yield ok("the storage of files can be written")


def disk_space() -> Iterator[Finding]:
    """Look whether one more file of the largest size would still fit."""
    for name in ("DATA_DIR", "CACHE_DIR"):
        folder = Path(getattr(settings, name))
        free = shutil.disk_usage(folder).free
        said = f"{name} has {free / GIGABYTE:.1f} GB free"
        if free < settings.MAX_FILE_BYTES:
            yield wrong(f"{said}, less than one file of MAX_FILE_BYTES", "Make room, or lower MAX_FILE_BYTES.")
        else:
            yield ok(said)


def weights() -> Iterator[Finding]:
    """Say which models this machine can run; none is right for one that only serves."""
    if found := installed_models():
        yield ok(f"models that can be run here: {', '.join(found)}")
    else:
        yield note("no model can be run here: nothing is measured on this machine", "Run `make setup` where it should.")
