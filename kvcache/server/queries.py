"""Reads: the adapters of models, and the published codec profiles."""

from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import QuerySet

from kvcache.adapters import ModelAdapter, adapter_for
from kvcache.server.models import CodecProfile
from latentmas import blobs
from latentmas.protocol.errors import NotFound
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model, list_models

if TYPE_CHECKING:
    from kvcache.coding.profile import OpenedProfile

OPEN_PROFILES = 4  # kept in memory by each process; a profile is some tens of megabytes


def get_adapter(spelling: str) -> ModelAdapter:
    """Return the adapter of an active model by its name, hub id or an alias. Raises ModelNotSupported."""
    return adapter_of(get_model(spelling, require_active=True))


def adapters() -> list[ModelAdapter]:
    """Return the adapters of all active models that keep a KV-cache, by name."""
    return [adapter_of(row) for row in list_models(active=True).filter(has_kv_cache=True)]


def list_profiles(*, model: str | None = None) -> QuerySet[CodecProfile]:
    """Return the published profiles, newest first within a model. Raises ModelNotSupported."""
    rows = CodecProfile.objects.order_by("model", "-published_at", "digest")
    return rows if model is None else rows.filter(model=get_model(model).name)


def profile_for(model: str, weights: str | None = None) -> CodecProfile | None:
    """Return the newest profile of a model, for exactly these weights if they are given; None where there is none."""
    rows = list_profiles(model=model)
    return rows.first() if weights is None else rows.filter(weights=weights).first()


def get_profile(digest: str) -> CodecProfile:
    """Return a published profile. Raises NotFound, also for text that is no digest."""
    row = CodecProfile.objects.filter(digest=digest).first() if blobs.DIGEST.fullmatch(digest) else None
    if row is None:
        raise NotFound(
            f"no codec profile {digest!r} is published here", resolution="GET /api/kv-cache/profiles names them."
        )
    return row


def open_profile(row: CodecProfile) -> "OpenedProfile":
    """Return the profile that a row stands for, ready to code with. Raises NotFound where its file is gone."""
    return _opened(row.digest)


@lru_cache(maxsize=OPEN_PROFILES)
def _opened(digest: str) -> "OpenedProfile":
    from kvcache.coding import profile as codec

    return codec.open_profile(blobs.local_path(digest), max_bytes=settings.MAX_FILE_BYTES)


def adapter_of(row: RegisteredModel) -> ModelAdapter:
    """Return the adapter of a model. Raises ModelNotSupported where it keeps no KV-cache."""
    return adapter_for(row.name, family=row.family, architecture=row.shape, threshold=row.attention_threshold)
