"""Temporary tables that shadow projection tables of the same name.

Both engines resolve a name in the session's temporary schema first, so projectors write to the shadow instead of the
live table without knowing it. Shadows have the live table's columns, checks and indexes, but no foreign keys: those
would point from the temporary schema into the permanent one.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, connections, transaction
from django.db.models import Model

FOREIGN_KEY = re.compile(r' (?:CONSTRAINT "[^"]+" )?REFERENCES "[^"]+" \("[^"]+"\)(?: DEFERRABLE INITIALLY DEFERRED)?')
WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


@dataclass(frozen=True, slots=True)
class Shadow:
    """SQL names of one projection's live table, of the temporary one that shadows it, and of the columns to compare."""

    table: str
    live: str
    temporary: str
    columns: str


@dataclass(frozen=True, slots=True)
class Difference:
    """How many rows only the projection table has, and how many only the log gives."""

    table: str
    only_live: int
    only_log: int


@contextmanager
def shadowed(models: Sequence[type[Model]]) -> Iterator[list[Shadow]]:
    """Create an empty shadow of each model's table, and drop it at the end, after an error too."""
    shadows: list[Shadow] = []
    with transaction.atomic():
        for model in sorted(models, key=lambda model: model._meta.db_table):
            shadows.append(_create(model))
    try:
        yield shadows
    finally:
        # Where the caller's transaction is broken, its rollback removes the shadows.
        if not connection.needs_rollback:
            with connection.cursor() as cursor:
                for shadow in shadows:
                    cursor.execute(f"DROP TABLE IF EXISTS {shadow.temporary}")


@contextmanager
def one_state() -> Iterator[None]:
    """Open a transaction that sees one state of the log, blocks no writer and can write to temporary tables only."""
    if connection.vendor == "sqlite":
        with _sqlite_reading(), transaction.atomic():
            yield
        return
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def lock(shadows: Sequence[Shadow]) -> None:
    """Lock the live tables and the log against writers until the transaction ends; readers are not blocked."""
    if connection.vendor == "sqlite":
        return  # BEGIN IMMEDIATE excludes other writers already
    with connection.cursor() as cursor:
        for shadow in shadows:
            cursor.execute(f"LOCK TABLE {shadow.live} IN EXCLUSIVE MODE")
        cursor.execute("SELECT position FROM events_loghead WHERE id = 1 FOR UPDATE")


def swap(shadow: Shadow) -> None:
    """Replace the live rows by the shadow's."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {shadow.live}")  # noqa: S608
        cursor.execute(
            f"INSERT INTO {shadow.live} ({shadow.columns}) SELECT {shadow.columns} FROM {shadow.temporary}"  # noqa: S608
        )


def difference(shadow: Shadow) -> Difference:
    """Compare the live rows with the shadow's, both ways."""
    return Difference(
        table=shadow.table,
        only_live=_rows_missing(shadow.live, shadow.temporary, columns=shadow.columns),
        only_log=_rows_missing(shadow.temporary, shadow.live, columns=shadow.columns),
    )


def _rows_missing(here: str, there: str, *, columns: str) -> int:
    sql = f"SELECT COUNT(*) FROM (SELECT {columns} FROM {here} EXCEPT SELECT {columns} FROM {there}) AS missing"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def _create(model: type[Model]) -> Shadow:
    table, quote = model._meta.db_table, connection.ops.quote_name
    columns = [quote(str(field.column)) for field in model._meta.local_concrete_fields if not field.generated]
    if connection.vendor == "sqlite":
        _create_sqlite(table)
        live, temporary = f"main.{quote(table)}", f"temp.{quote(table)}"
    else:
        live, temporary = _create_postgresql(table), f"pg_temp.{quote(table)}"
    return Shadow(table=table, live=live, temporary=temporary, columns=", ".join(columns))


def _create_sqlite(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sql FROM main.sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL "
            "AND type IN ('table', 'index') ORDER BY type DESC",  # the table before its indexes
            [table],
        )
        for (sql,) in cursor.fetchall():
            sql = re.sub(r"^CREATE TABLE ", "CREATE TEMP TABLE ", FOREIGN_KEY.sub("", sql))
            cursor.execute(re.sub(r"^CREATE( UNIQUE)? INDEX ", r"CREATE\1 INDEX temp.", sql))


def _create_postgresql(table: str) -> str:
    """Create the shadow and return the live table's qualified name."""
    name = connection.ops.quote_name(table)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.oid = to_regclass(%s)",
            [name],
        )
        live = f"{cursor.fetchone()[0]}.{name}"
        cursor.execute(f"CREATE TEMPORARY TABLE {name} (LIKE {live} INCLUDING ALL)")
    return live


@contextmanager
def _sqlite_reading() -> Iterator[None]:
    """Begin transactions without the write lock, and refuse statements that would write to the permanent tables."""
    connection.ensure_connection()
    database: Any = connections[connection.alias]  # the SQLite wrapper, whose attributes the base class lacks
    mode = database.transaction_mode
    database.transaction_mode = "DEFERRED"
    database.connection.set_authorizer(_authorize)
    try:
        yield
    finally:
        database.connection.set_authorizer(None)
        database.transaction_mode = mode


def _authorize(action: int, _: str | None, __: str | None, database: str | None, ___: str | None) -> int:
    return sqlite3.SQLITE_DENY if action in WRITES and database == "main" else sqlite3.SQLITE_OK
