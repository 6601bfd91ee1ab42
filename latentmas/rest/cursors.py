"""Keyset pages over any queryset: a cursor names the last row of a page by the columns that order the list.

The next page begins after that place, so rows that come and go in between are neither repeated nor skipped.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Field, Q, QuerySet
from rest_framework.request import Request

from latentmas.protocol.errors import InvalidInput

Row = TypeVar("Row")  # a model, or a named tuple of some of its columns
NUL = "\x00"  # PostgreSQL refuses to compare with it


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    rows: Sequence[Row]
    next_cursor: str | None


def page_of(rows: QuerySet[Any, Row], *, order: Sequence[str], limit: int, cursor: str | None = None) -> Page[Row]:
    """Return at most `limit` rows after the cursor, by the columns of `order`: ascending, or descending after a `-`.

    The columns must hold no null and together be unique. Raises InvalidInput for a cursor that does not fit them.
    """
    names = [name.removeprefix("-") for name in order]
    if cursor:
        columns = {field.name: field for field in rows.model._meta.concrete_fields}
        rows = rows.filter(_after(order, _decode(cursor, [columns[name] for name in names])))
    found = list(rows.order_by(*order)[: limit + 1])
    return Page(found[:limit], _encode(found[limit - 1], names) if len(found) > limit else None)


def page_document(request: Request, page: Page[Row], show: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    """Return the answer that shows a page: its rows, the cursor of the next page, and that page's address."""
    return {
        "results": [show(row) for row in page.rows],
        "next_cursor": page.next_cursor,
        "next": None if page.next_cursor is None else address_of(request, page.next_cursor),
    }


def _after(order: Sequence[str], place: Sequence[Any]) -> Q:
    """Return the condition that (a, b, ...) is after place: a is beyond, or a is the same and b is beyond, ..."""
    after, same = Q(), Q()
    for column, value in zip(order, place, strict=True):
        name = column.removeprefix("-")
        beyond = "gt" if name == column else "lt"
        after |= same & Q(**{f"{name}__{beyond}": value})
        same &= Q(**{name: value})
    return after


def _encode(row: object, order: Sequence[str]) -> str:
    place = json.dumps([_plain(getattr(row, name)) for name in order], separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _decode(cursor: str, columns: Sequence["Field[Any, Any]"]) -> list[Any]:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(place, list) and len(place) == len(columns) and all(map(_can_hold, columns, place)):
            return place
    except (ValueError, OverflowError, RecursionError, ValidationError):
        pass
    raise InvalidInput("the cursor is not one of ours; take it from next_cursor of the page before", field="cursor")


def _can_hold(column: "Field[Any, Any]", value: Any) -> bool:
    """Return whether the column can hold exactly this value; may raise ValidationError or ValueError instead."""
    if isinstance(value, str):
        value.encode()  # JSON can escape half a character, which no database takes
    held = column.clean(value, None)
    if isinstance(held, datetime) and held.utcoffset() != timedelta(0):  # the columns have UTC
        return False
    return bool(_plain(held) == value) and not (isinstance(value, str) and NUL in value)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def address_of(request: Request, cursor: str) -> str:
    """Return the address of the page that begins after a cursor, with the request's other parameters."""
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
