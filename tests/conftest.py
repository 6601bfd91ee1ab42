"""What every test may need."""

from collections.abc import Iterator

import pytest
from django.db import connection

from latentmas.events import triggers


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
