"""The log is append-only in the database itself: every way round it that an engine offers is refused."""

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from latentmas.events import store, triggers
from latentmas.events.models import Event, LogHead
from latentmas.events.store import New
from tests.events.sample import BY, Noted

pytestmark = [pytest.mark.django_db, pytest.mark.store]

COLUMNS = "position, event_id, stream, version, type, schema, payload, metadata, recorded_at, body, salt, leaf_hash"
OTHER_ID = {"sqlite": "'00000000000000000000000000000000'", "postgresql": "gen_random_uuid()"}[connection.vendor]


def copied(**changed: str) -> str:
    """The columns of event 1, some of them replaced."""
    names = [name.strip() for name in COLUMNS.split(",")]
    return ", ".join(changed.get(name, name) for name in names) + " FROM events_event WHERE position = 1"


def insert(verb: str = "INSERT", rest: str = "", **changed: str) -> str:
    return f"{verb} INTO events_event ({COLUMNS}) SELECT {copied(**changed)} {rest}"


SAME_POSITION = {"event_id": OTHER_ID, "stream": "'other'"}
SAME_ID = {"position": "2", "stream": "'other'"}
SAME_VERSION = {"position": "2", "event_id": OTHER_ID}
HEAD_TRAPS = {
    "head moved back": "UPDATE events_loghead SET position = position - 1",
    "head deleted": "DELETE FROM events_loghead",
}
COMMON = {
    "update": "UPDATE events_event SET type = 'x'",
    "update of the key": "UPDATE events_event SET position = 9",
    "delete": "DELETE FROM events_event",
    "delete by key": "DELETE FROM events_event WHERE position = 1",
    "insert, position taken": insert(**SAME_POSITION),
    "insert, event id taken": insert(**SAME_ID),
    "insert, version taken": insert(**SAME_VERSION),
    **HEAD_TRAPS,
}
SQLITE = {
    "replace, position taken": insert("INSERT OR REPLACE", **SAME_POSITION),
    "replace, event id taken": insert("INSERT OR REPLACE", **SAME_ID),
    "replace, version taken": insert("INSERT OR REPLACE", **SAME_VERSION),
    "replace statement": insert("REPLACE", **SAME_ID),
    "replace by rowid": f"INSERT OR REPLACE INTO events_event (rowid, {COLUMNS.removeprefix('position, ')}) "
    + f"SELECT {copied(**SAME_POSITION)}",
    "ignore": insert("INSERT OR IGNORE", **SAME_ID),
    "upsert": insert(rest="ON CONFLICT (position) DO UPDATE SET type = 'x'", **SAME_POSITION),
    "upsert of the id": insert(rest="ON CONFLICT (event_id) DO UPDATE SET type = 'x'", **SAME_ID),
    "update or replace": "UPDATE OR REPLACE events_event SET position = 1",
    "update of the rowid": "UPDATE events_event SET rowid = 7",
    "position chosen by the engine": insert(position="NULL", event_id=OTHER_ID, stream="'other'"),
    "position beyond the head": insert(position="99", event_id=OTHER_ID, stream="'other'"),
    "position below one": insert(position="0", event_id=OTHER_ID, stream="'other'"),
    "head replaced": "INSERT OR REPLACE INTO events_loghead (id, position) VALUES (1, 0)",
    "head replaced by rowid": "INSERT OR REPLACE INTO events_loghead (rowid, id, position) VALUES (1, 1, 0)",
    "second head": "INSERT INTO events_loghead (id, position) VALUES (2, 0)",
}
POSTGRESQL = {
    "truncate": "TRUNCATE events_event",
    "truncate cascade": "TRUNCATE events_event, events_loghead CASCADE",
    "head truncated": "TRUNCATE events_loghead",
    "upsert": insert(rest="ON CONFLICT (position) DO UPDATE SET type = 'x'", **SAME_POSITION),
    "upsert of the id": insert(rest="ON CONFLICT (event_id) DO UPDATE SET type = 'x'", **SAME_ID),
    "merge": "MERGE INTO events_event e USING events_loghead h ON e.position = h.position "
    "WHEN MATCHED THEN UPDATE SET type = 'x'",
    "as a replica": "SET LOCAL session_replication_role = replica; DELETE FROM events_event",
}
TRAPS = COMMON | {"sqlite": SQLITE, "postgresql": POSTGRESQL}[connection.vendor]


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS.keys())
def test_the_database_refuses(trap: str) -> None:
    store.append(New("note/1", [Noted("kept")]), metadata=BY)
    before = list(Event.objects.values())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(trap)
    assert list(Event.objects.values()) == before
    assert LogHead.objects.get().position == 1


def test_an_insert_that_the_database_ignores_changes_nothing() -> None:
    store.append(New("note/1", [Noted("kept")]), metadata=BY)
    before = list(Event.objects.values())
    verb, rest = {"sqlite": ("INSERT OR FAIL", ""), "postgresql": ("INSERT", "ON CONFLICT DO NOTHING")}[
        connection.vendor
    ]
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(insert(verb, rest, **SAME_ID))
    except IntegrityError:
        assert connection.vendor == "sqlite"
    assert list(Event.objects.values()) == before


def test_the_system_check_is_silent_while_every_guard_is_there() -> None:
    assert warnings() == []


@pytest.mark.parametrize("name", {"sqlite": triggers._SQLITE, "postgresql": triggers._POSTGRESQL}[connection.vendor])
def test_the_system_check_names_a_missing_guard_and_migrate_repairs_it(name: str) -> None:
    table = "events_loghead" if "loghead" in name else "events_event"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" + ("" if connection.vendor == "sqlite" else f" ON {table}"))
    (warning,) = warnings()
    assert warning.id == "events.W001"
    assert name in warning.msg
    assert "manage.py migrate" in warning.hint
    call_command("migrate", verbosity=0)
    assert warnings() == []


def test_the_system_check_finds_a_guard_that_was_weakened() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER events_event_no_update")
            cursor.execute(
                "CREATE TRIGGER events_event_no_update BEFORE UPDATE ON events_event WHEN 0 "
                "BEGIN SELECT RAISE(ABORT, 'never'); END"
            )
        else:
            cursor.execute("ALTER TABLE events_event DISABLE TRIGGER ALL")
    assert len(warnings()) == 1
    call_command("migrate", verbosity=0)
    assert warnings() == []


def test_installing_touches_nothing_when_nothing_is_missing(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(4) as queries:  # savepoint, head row, what is there, release
        triggers.install()
    assert not any("TRIGGER" in each["sql"].replace("type = 'trigger'", "") for each in queries)


def test_lifting_the_guards_is_over_after_the_block() -> None:
    store.append(New("note/1", [Noted("gone")]), metadata=BY)
    with triggers.lifted():
        Event.objects.all().delete()
    assert triggers.missing() == []


def test_installing_puts_back_a_missing_head_row_at_the_end_of_the_log() -> None:
    store.append(New("note/1", [Noted("1"), Noted("2")]), metadata=BY)
    with triggers.lifted():
        LogHead.objects.all().delete()
    assert LogHead.objects.get().position == 2


def warnings() -> list[object]:
    return [each for each in run_checks(databases=["default"]) if each.id == "events.W001"]
