"""Cursors over the catalogue: the place after the last row seen, so that pages never repeat or skip a row."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from latentmas.protocol.errors import InvalidInput
from marketplace.listings.models import Listing


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Listing]
    next_cursor: str | None


def page_of(offers: QuerySet[Listing], *, limit: int, cursor: str | None = None) -> Page:
    """Return `limit` rows in the catalogue's order from the cursor on. Raises InvalidInput for a foreign cursor."""
    if cursor:
        offers = offers.filter(_after(*_decode(cursor)))
    rows = list(offers.order_by("basis_rank", "epsilon", "id")[: limit + 1])
    return Page(rows[:limit], _encode(rows[limit - 1]) if len(rows) > limit else None)


def _after(basis_rank: int, epsilon: float, identifier: str) -> Q:
    same_basis = Q(basis_rank=basis_rank)
    return (
        Q(basis_rank__gt=basis_rank)
        | (same_basis & Q(epsilon__gt=epsilon))
        | (same_basis & Q(epsilon=epsilon, id__gt=identifier))
    )


def _encode(row: Listing) -> str:
    place = json.dumps([row.basis_rank, row.epsilon, row.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[int, float, str]:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        place = None
    match place:
        case [int(rank), float() | int() as epsilon, str(identifier)] if 0 <= rank < 10 and 0 <= epsilon <= 1:
            return rank, float(epsilon), identifier
    raise InvalidInput("the cursor is not one of ours; take it from next_cursor of the page before", field="cursor")
