"""What projectors do with the rows that they own: lock and read them, write them, add to them.

Always in the order of their keys, so that two writers that touch the same rows queue up instead of blocking each other.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from django.db import connection
from django.db.models import Model

M = TypeVar("M", bound=Model)


def locked(model: type[M], keys: Collection[str]) -> dict[str, M]:
    """Return the rows by their keys, held until the commit; a key without a row is missing."""
    if not keys:
        return {}
    rows = model._default_manager.select_for_update().filter(pk__in=sorted(keys)).order_by("pk")
    return {str(row.pk): row for row in rows}


def upsert(model: type[M], rows: Iterable[M]) -> None:
    """Write whole rows, new and known ones."""
    model._default_manager.bulk_create(
        sorted(rows, key=lambda row: str(row.pk)),
        update_conflicts=True,
        unique_fields=[model._meta.pk.name],
        update_fields=[field.name for field in model._meta.concrete_fields if not field.primary_key],
    )


def add(model: type[M], rows: Collection[M], *, counters: Sequence[str]) -> None:
    """Add the counters of these rows to those of the same keys, in one statement; a row that is not there is made."""
    if not rows:
        return
    quote, fields = connection.ops.quote_name, model._meta.concrete_fields
    table = quote(model._meta.db_table)
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = f"({', '.join(['%s'] * len(fields))})"
    added = ", ".join(f"{quote(name)} = {table}.{quote(name)} + excluded.{quote(name)}" for name in counters)
    values = [getattr(row, field.attname) for row in sorted(rows, key=lambda row: str(row.pk)) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) VALUES {', '.join([places] * len(rows))} "  # noqa: S608 - names of ours
            f"ON CONFLICT ({quote(str(model._meta.pk.column))}) DO UPDATE SET {added}",
            values,
        )
