"""The probes: each tries one part that serving needs, says what it found, and raises Unhealthy where it cannot be used.

Sentences hold no address and no secret: `/readyz` shows them to anybody. What the part itself said goes to the log.
"""

from collections.abc import Callable, Mapping
from functools import cache

import kombu
from django.conf import settings
from django.core.files.storage import storages
from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from latentmas import local_broker

CONNECT_SECONDS = 1
ABSENT_FILE = "readiness-probe"  # never written

local_broker.register()


class Unhealthy(Exception):
    """A part cannot be used; `advice` says what to do about it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


def database() -> str:
    """Ask the database for a row."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        raise Unhealthy(
            f"the database does not answer ({type(error).__name__})",
            "Check DATABASE_URL, and that the database server runs and lets this machine in.",
        ) from error
    return f"the database answers ({connection.vendor})"


def migrations() -> str:
    """Compare the newest migration of every app with those that the database has."""
    try:
        applied = set(MigrationRecorder(connection).applied_migrations())
    except Error as error:
        raise Unhealthy(
            f"the database does not say which migrations it has ({type(error).__name__})",
            "Repair the database first, then ask again.",
        ) from error
    if absent := sorted(f"{app}.{name}" for app, name in _newest() - applied):
        raise Unhealthy(
            f"the database lacks {len(absent)} of the newest migrations: {', '.join(absent)}",
            "Run `python manage.py migrate` with this version of the code.",
        )
    return "every migration is applied"


def broker() -> str:
    """Connect to the broker."""
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    try:
        with kombu.Connection(
            settings.CELERY_BROKER_URL, transport_options=options, connect_timeout=CONNECT_SECONDS
        ) as link:
            link.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
    except Exception as error:  # each transport has errors of its own
        raise Unhealthy(
            f"the broker does not answer ({type(error).__name__})",
            "Check CELERY_BROKER_URL, and that the broker runs and lets this machine in.",
        ) from error
    return "the broker answers"


def storage() -> str:
    """Ask the storage of files for one that is not there."""
    try:
        storages["blobs"].exists(ABSENT_FILE)
    except Exception as error:  # each storage has errors of its own
        raise Unhealthy(
            f"the storage of files does not answer ({type(error).__name__})",
            "Check the settings of the storage `blobs`, its credentials, and that it can be reached.",
        ) from error
    return "the storage of files answers"


PROBES: Mapping[str, Callable[[], str]] = {
    "database": database,
    "migrations": migrations,
    "broker": broker,
    "storage": storage,
}


@cache
def _newest() -> set[tuple[str, str]]:
    """Return the newest migration of each app, as the code has them; read from disk once."""
    return set(MigrationLoader(None).graph.leaf_nodes())
