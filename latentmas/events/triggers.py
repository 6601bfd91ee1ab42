"""The append-only rule in the database itself: nothing updates, deletes, truncates or replaces an event.

SQLite needs a guard on every unique key as well: `INSERT OR REPLACE` deletes the old row without firing its DELETE
trigger. Django's SQLite table rebuild drops triggers silently, so a migration installs them and so does post_migrate.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = ("events_event", "events_loghead")

POSITION_TAKEN = "events_event: this position is taken"
EVENT_ID_TAKEN = "events_event: this event_id is taken"
VERSION_TAKEN = "events_event: this version of the stream is taken"
BEYOND_HEAD = "events_event: the position was not handed out by the head row"
APPEND_ONLY = "events_event is append-only"
HEAD_ONLY_FORWARD = "events_loghead only moves forward"
HEAD_STAYS = "events_loghead has one row, which is never deleted"

# Name: table, event, condition, message.
_SQLITE: dict[str, tuple[str, str, str, str]] = {
    "events_event_no_update": ("events_event", "UPDATE", "1", APPEND_ONLY),
    "events_event_no_delete": ("events_event", "DELETE", "1", APPEND_ONLY),
    "events_event_position_free": (
        "events_event",
        "INSERT",
        "EXISTS (SELECT 1 FROM events_event WHERE position = NEW.position)",
        POSITION_TAKEN,
    ),
    "events_event_event_id_free": (
        "events_event",
        "INSERT",
        "EXISTS (SELECT 1 FROM events_event WHERE event_id = NEW.event_id)",
        EVENT_ID_TAKEN,
    ),
    "events_event_version_free": (
        "events_event",
        "INSERT",
        "EXISTS (SELECT 1 FROM events_event WHERE stream = NEW.stream AND version = NEW.version)",
        VERSION_TAKEN,
    ),
    # A NULL position would let SQLite choose one; NEW.position is -1 then.
    "events_event_position_from_head": (
        "events_event",
        "INSERT",
        "NEW.position NOT BETWEEN 1 AND (SELECT COALESCE(MAX(position), 0) FROM events_loghead)",
        BEYOND_HEAD,
    ),
    "events_loghead_forward": (
        "events_loghead",
        "UPDATE",
        "NEW.position < OLD.position OR NEW.id <> OLD.id",
        HEAD_ONLY_FORWARD,
    ),
    "events_loghead_no_delete": ("events_loghead", "DELETE", "1", HEAD_STAYS),
    "events_loghead_single": ("events_loghead", "INSERT", "EXISTS (SELECT 1 FROM events_loghead)", HEAD_STAYS),
}

_REFUSE = "events_refuse"
_REFUSE_BODY = "BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation'; END;"
# Name: table, event and scope, message. Statement triggers cost an INSERT nothing.
_POSTGRESQL: dict[str, tuple[str, str, str]] = {
    "events_event_append_only": ("events_event", "UPDATE OR DELETE OR TRUNCATE ON {} FOR EACH STATEMENT", APPEND_ONLY),
    "events_loghead_forward": (
        "events_loghead",
        "UPDATE ON {} FOR EACH ROW WHEN (NEW.position < OLD.position OR NEW.id <> OLD.id)",
        HEAD_ONLY_FORWARD,
    ),
    "events_loghead_stays": ("events_loghead", "DELETE OR TRUNCATE ON {} FOR EACH STATEMENT", HEAD_STAYS),
}


def install(database: BaseDatabaseWrapper = connection) -> None:
    """Create the triggers and the head row where something is missing; otherwise no lock is taken."""
    with transaction.atomic(using=database.alias), database.cursor() as cursor:
        # The row first: one behind the log could not be put right once it only moves forward.
        cursor.execute(
            "INSERT INTO events_loghead (id, position) SELECT 1, (SELECT COALESCE(MAX(position), 0) FROM events_event) "
            "WHERE NOT EXISTS (SELECT 1 FROM events_loghead)"
        )
        if not missing(database):
            return
        if database.vendor == "sqlite":
            for name, sql in _sqlite_statements().items():
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                cursor.execute(sql)
            return
        cursor.execute(
            f"CREATE OR REPLACE FUNCTION {_REFUSE}() RETURNS trigger LANGUAGE plpgsql AS $body${_REFUSE_BODY}$body$"
        )
        for name, definition in _postgresql_definitions().items():
            table = _POSTGRESQL[name][0]
            cursor.execute(f"CREATE OR REPLACE TRIGGER {name} {definition}")
            cursor.execute(f"COMMENT ON TRIGGER {name} ON {table} IS $comment${definition}$comment$")
            # ALWAYS: session_replication_role does not switch it off.
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def remove(database: BaseDatabaseWrapper = connection) -> None:
    """Drop every trigger that is there."""
    with transaction.atomic(using=database.alias), database.cursor() as cursor:
        if database.vendor == "sqlite":
            for name in _SQLITE:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            return
        for name, (table, _, _) in _POSTGRESQL.items():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        cursor.execute(f"DROP FUNCTION IF EXISTS {_REFUSE}()")


def missing(database: BaseDatabaseWrapper = connection) -> list[str]:
    """Return the names of the triggers that are absent, switched off or altered."""
    with database.cursor() as cursor:
        if database.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            found = dict(cursor.fetchall())
            return [name for name, sql in _sqlite_statements().items() if found.get(name) != sql]
        cursor.execute(
            "SELECT t.tgname, obj_description(t.oid, 'pg_trigger') "
            "FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE t.tgrelid IN (to_regclass(%s), to_regclass(%s)) "
            "AND t.tgenabled = 'A' AND p.proname = %s AND p.prosrc = %s",
            [*TABLES, _REFUSE, _REFUSE_BODY],
        )
        # PostgreSQL rewrites a definition in its own words, so a trigger carries ours as its comment.
        described = dict(cursor.fetchall())
        return [name for name, definition in _postgresql_definitions().items() if described.get(name) != definition]


def installable(database: BaseDatabaseWrapper = connection) -> bool:
    """Return whether the tables that carry the triggers are there."""
    return set(TABLES) <= set(database.introspection.table_names())


@contextmanager
def lifted(database: BaseDatabaseWrapper = connection) -> Iterator[None]:
    """Drop the triggers for the block: for tests that tamper, and around `flush`. Never in production code."""
    remove(database)
    try:
        yield
    finally:
        install(database)


def _sqlite_statements() -> dict[str, str]:
    return {
        name: (
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        for name, (table, event, condition, message) in _SQLITE.items()
    }


def _postgresql_definitions() -> dict[str, str]:
    return {
        name: f"BEFORE {event.format(table)} EXECUTE FUNCTION {_REFUSE}('{message}')"
        for name, (table, event, message) in _POSTGRESQL.items()
    }
