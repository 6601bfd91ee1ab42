"""Reads of uploads; an agent sees only its own."""

from django.db.models import QuerySet
from django.utils import timezone

from latentmas.protocol.errors import Conflict, NotFound
from marketplace.uploads.models import Upload


def uploads_of(owner: str) -> QuerySet[Upload]:
    """Return the agent's uploads that have not expired, the newest first."""
    return Upload.objects.filter(owner=owner, expires_at__gt=timezone.now())


def get_upload(owner: str, upload_id: str) -> Upload:
    """Return one of the agent's uploads. Raises NotFound, also for an expired one."""
    row = uploads_of(owner).filter(id=upload_id).first() if upload_id.isalnum() else None
    if row is None:
        raise NotFound(
            f"you have no upload {upload_id!r}; it may have expired",
            resolution="Begin another with POST /api/uploads.",
        )
    return row


def get_stored(owner: str, upload_id: str) -> Upload:
    """Return one of the agent's uploads whose file is stored. Raises NotFound, or Conflict where bytes are missing."""
    row = get_upload(owner, upload_id)
    if row.stored_at is None:
        raise Conflict(
            f"the upload {upload_id} is not finished",
            resolution=f"GET /api/uploads/{upload_id} says at which byte it goes on.",
        )
    return row
