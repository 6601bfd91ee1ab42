"""The contract suite of the event store: run it on SQLite, and again with DATABASE_URL naming a PostgreSQL."""

from collections.abc import Iterator

import pytest
from django.db import connection

from latentmas.events import projections, types
from tests.events import sample


@pytest.fixture(scope="session")
def _sample_table(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(sample.Tally)
        yield
        with connection.schema_editor() as editor:
            editor.delete_model(sample.Tally)


@pytest.fixture(autouse=True)
def _sample_domain(_sample_table: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the suite see only its own event types and projectors, and nobody else see them."""
    monkeypatch.setattr(types, "_BY_NAME", {})
    monkeypatch.setattr(types, "_BY_CLASS", {})
    monkeypatch.setattr(projections, "_PROJECTORS", {})
    sample.register()


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """Real transactions. The flush knows nothing of the sample table, which belongs to no installed app."""
    yield
    sample.Tally.objects.all().delete()
