"""Store and delete memories. A file is stored before its row, and deleted after the last row that names it."""

import uuid
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone

from latentmas import blobs
from latentmas.protocol.errors import Conflict
from marketplace.memories.keeping import is_kept
from marketplace.memories.models import StoredMemory
from marketplace.memories.opening import open_memory
from marketplace.memories.queries import get_memory

MAX_MEMORIES = 100  # of one account


def store_memory(owner: User, *, data: bytes, max_decoded_bytes: int) -> tuple[StoredMemory, bool]:
    """Return the memory of a raw snapshot or .kvz file and whether it is new; the same file is kept once.

    Raises InvalidInput, DimensionMismatch, ModelNotSupported or TooLarge for a file that is no memory of a known
    model, Conflict where the account keeps too many, StorageUnavailable.
    """
    opened = open_memory(data, max_decoded_bytes=max_decoded_bytes)
    frame = opened.frame
    digest = blobs.put_bytes(data)
    if (known := StoredMemory.objects.filter(owner=owner, digest=digest).first()) is not None:
        return known, False
    if StoredMemory.objects.filter(owner=owner).count() >= MAX_MEMORIES:
        raise Conflict(
            f"this account keeps {MAX_MEMORIES} memories, the limit",
            resolution="Delete one first: DELETE /api/stored-memories/{id}.",
        )
    try:
        with transaction.atomic():
            row = StoredMemory.objects.create(
                id=uuid.uuid4().hex,
                owner=owner,
                kind=opened.kind,
                model=opened.model,
                weights=frame.weights,
                context=frame.context,
                profile=opened.profile,
                tokens=frame.tokens,
                next_position=frame.next_position,
                width=frame.geometry.width,
                size=len(data),
                digest=digest,
                created_at=timezone.now(),
            )
    except IntegrityError:  # another request of the same account stored it meanwhile
        return StoredMemory.objects.get(owner=owner, digest=digest), False
    if not blobs.exists(digest):  # somebody else deleted the same file between the two
        blobs.put_bytes(data)
    return row, True


def delete_memory(owner: User, *, memory_id: str) -> None:
    """Delete a memory, and its file where nobody else needs the same. Raises NotFound."""
    get_memory(owner, memory_id=memory_id).delete()


@receiver(post_delete, sender=StoredMemory)
def remove_file(sender: type[StoredMemory], instance: StoredMemory, **_: Any) -> None:
    """Delete the file of a deleted row after the commit, where nobody else needs the same.

    By a signal, because a curator or the end of the account deletes rows too.
    """
    # Robust: the row is gone whatever becomes of the file; one that its storage did not delete is left to the sweep.
    transaction.on_commit(lambda: _remove(instance.digest), robust=True)


def _remove(digest: str) -> None:
    if not (StoredMemory.objects.filter(digest=digest).exists() or is_kept(digest)):
        blobs.delete(digest)
