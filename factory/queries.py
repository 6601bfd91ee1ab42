"""Reads of calibration packs: which there are, and one of them."""

from django.db.models import QuerySet

from factory.models import CalibrationPack
from latentmas import blobs
from latentmas.protocol.errors import NotFound
from latentmas.protocol.w_matrix import Space
from latentmas.registry.queries import get_model

ORDER = ("model", "digest")


def list_packs(
    *, model: str | None = None, corpus_digest: str | None = None, space: Space | None = None
) -> QuerySet[CalibrationPack]:
    """Return the packs that fit every given filter, by model. Raises ModelNotSupported."""
    rows = CalibrationPack.objects.order_by(*ORDER)
    if model is not None:
        rows = rows.filter(model=get_model(model).name)
    if corpus_digest is not None:
        rows = rows.filter(corpus_digest=corpus_digest)
    return rows if space is None else rows.filter(space=space)


def get_pack(digest: str) -> CalibrationPack:
    """Return a pack on record. Raises NotFound, also for what is no digest."""
    row = CalibrationPack.objects.filter(digest=digest).first() if blobs.DIGEST.fullmatch(digest) else None
    if row is None:
        raise NotFound(
            f"no calibration pack {digest!r} is on record", resolution="GET /api/calibration-packs names them."
        )
    return row
