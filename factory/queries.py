"""Queries for recorded calibration packs: a filtered list, and one by digest."""

from django.db.models import QuerySet

from factory.models import CalibrationPack
from latentmas import blobs
from latentmas.protocol.errors import InvalidInput, NotFound
from latentmas.protocol.w_matrix import Space
from latentmas.registry.queries import get_model

ORDER = ("model", "digest")


def list_packs(
    *, model: str | None = None, corpus_digest: str | None = None, space: Space | None = None
) -> QuerySet[CalibrationPack]:
    """Return the packs that match every given filter, ordered by model. Raises ModelNotSupported."""
    rows = CalibrationPack.objects.order_by(*ORDER)
    if model is not None:
        rows = rows.filter(model=get_model(model).name)
    if corpus_digest is not None:
        rows = rows.filter(corpus_digest=corpus_digest)
    return rows if space is None else rows.filter(space=space)


def get_pack(digest: str) -> CalibrationPack:
    """Return a recorded pack. Raises NotFound, also for a malformed digest."""
    row = CalibrationPack.objects.filter(digest=digest).first() if blobs.DIGEST.fullmatch(digest) else None
    if row is None:
        raise NotFound(
            f"no calibration pack {digest!r} is on record", resolution="GET /api/calibration-packs names them."
        )
    return row


def own_packs(model: str, weights: str | None) -> QuerySet[CalibrationPack]:
    """Return the packs of KV-caches that this server captured from a model with these weights, the largest first."""
    rows = CalibrationPack.objects.filter(model=model, weights=weights, space=Space.KV_CACHE, contributor__isnull=True)
    return rows.order_by("-calibration_tokens", "digest")


def require_not_refused(row: CalibrationPack, *, field: str | None = None) -> None:
    """Raise InvalidInput if a spot-check has refused the pack; `field` is the parameter that names it."""
    if row.refused is not None:
        raise InvalidInput(
            f"the pack {row.digest} was refused: {row.refused}",
            resolution=f"Capture another pack of {row.model}, or name one that this server captured.",
            **({} if field is None else {"field": field}),
        )
