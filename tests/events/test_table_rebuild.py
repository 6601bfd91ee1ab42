"""Schema changes: Django's SQLite table rebuild drops triggers, the migration that adds them can be reversed."""

import pytest
from django.core.management import call_command
from django.db import connection, models

from latentmas.events import store, triggers
from latentmas.events.models import Event
from latentmas.events.store import New
from tests.events.sample import BY, Noted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.store]


def test_migrate_restores_what_a_table_rebuild_drops() -> None:
    store.append(New("note/1", [Noted("kept")]), metadata=BY)
    wider = models.CharField(max_length=120, db_index=True)
    wider.set_attributes_from_name("type")
    wider.model = Event
    was = Event._meta.get_field("type")
    with connection.schema_editor() as editor:
        editor.alter_field(Event, was, wider)
    dropped = triggers.missing()
    call_command("migrate", verbosity=0)
    assert triggers.missing() == []
    assert Event.objects.get().payload == {"text": "kept"}
    assert bool(dropped) == (connection.vendor == "sqlite")
    with connection.schema_editor() as editor:
        editor.alter_field(Event, wider, was)


def test_the_migrations_can_be_undone_and_done_again() -> None:
    call_command("migrate", "events", "zero", verbosity=0)
    assert not triggers.installable()
    call_command("migrate", "events", verbosity=0)
    assert triggers.missing() == []
    assert store.head_position() == 0
