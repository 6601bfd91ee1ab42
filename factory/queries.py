"""Reads of calibration packs: which there are, one of them, and the pair to fit from."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from factory.models import CalibrationPack
from latentmas import blobs
from latentmas.protocol.errors import InvalidInput, NotFound
from latentmas.protocol.w_matrix import Space
from latentmas.registry.queries import get_model


@dataclass(frozen=True, slots=True)
class PackPage:
    rows: Sequence[CalibrationPack]
    next_cursor: str | None


def list_packs(
    *, model: str | None = None, corpus_digest: str | None = None, space: Space | None = None
) -> QuerySet[CalibrationPack]:
    """Return the packs that fit every given filter, by model. Raises ModelNotSupported."""
    rows = CalibrationPack.objects.order_by("model", "digest")
    if model is not None:
        rows = rows.filter(model=get_model(model).name)
    if corpus_digest is not None:
        rows = rows.filter(corpus_digest=corpus_digest)
    return rows if space is None else rows.filter(space=space)


def page_of(rows: QuerySet[CalibrationPack], *, limit: int, cursor: str | None = None) -> PackPage:
    """Return `limit` packs from the cursor on. Raises InvalidInput for a cursor that is not of these pages."""
    if cursor:
        model, digest = _decode(cursor)
        rows = rows.filter(Q(model__gt=model) | Q(model=model, digest__gt=digest))
    found = list(rows[: limit + 1])
    return PackPage(found[:limit], _encode(found[limit - 1]) if len(found) > limit else None)


def get_pack(digest: str) -> CalibrationPack:
    """Return a pack on record. Raises NotFound, also for what is no digest."""
    row = CalibrationPack.objects.filter(digest=digest).first() if blobs.DIGEST.fullmatch(digest) else None
    if row is None:
        raise NotFound(
            f"no calibration pack {digest!r} is on record", resolution="GET /api/calibration-packs names them."
        )
    return row


def _encode(row: CalibrationPack) -> str:
    place = json.dumps([row.model, row.digest], separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[str, str]:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        place = None
    match place:
        case [str(model), str(digest)] if blobs.DIGEST.fullmatch(digest) and "\x00" not in model:
            return model, digest
    raise InvalidInput("the cursor is not one of ours; take it from next_cursor of the page before", field="cursor")
