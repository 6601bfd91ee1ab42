"""Store and delete memories. A file is stored before its row, and deleted after the last row that names it."""

import uuid
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone

from kvcache.compression.container import KIND as KVZ
from kvcache.compression.container import read_kvz
from kvcache.server.queries import get_adapter
from latentmas import blobs
from latentmas.protocol import tensors
from latentmas.protocol.errors import Conflict, InvalidInput
from latentmas.protocol.snapshot import KIND as RAW
from latentmas.protocol.snapshot import SnapshotFrame, read_snapshot
from marketplace.memories.keeping import is_kept
from marketplace.memories.models import Kind, StoredMemory
from marketplace.memories.queries import get_memory

MAX_MEMORIES = 100  # of one account


def store_memory(owner: User, *, data: bytes, max_decoded_bytes: int) -> tuple[StoredMemory, bool]:
    """Return the memory of a raw snapshot or .kvz file and whether it is new; the same file is kept once.

    Raises InvalidInput, DimensionMismatch, ModelNotSupported or TooLarge for a file that is no memory of a known
    model, Conflict where the account keeps too many, StorageUnavailable.
    """
    kind, frame, profile = _opened(data, max_decoded_bytes)
    assert frame.model is not None  # _opened named it
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
                kind=kind,
                model=frame.model,
                weights=frame.weights,
                context=frame.context,
                profile=profile,
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


def _opened(data: bytes, max_decoded_bytes: int) -> tuple[Kind, SnapshotFrame, str | None]:
    """Return what a file holds, under the registry's name of its model."""
    file = tensors.parse_tensors(data, max_bytes=len(data))
    said = file.document.get("kind")
    if said == KVZ:
        container = read_kvz(file, max_decoded_bytes=max_decoded_bytes)
        kind, frame, profile = Kind.KVZ, container.frame, container.profile
    elif said == RAW:
        snapshot, _ = read_snapshot(file)
        kind, frame, profile = Kind.RAW, snapshot.frame, None
    else:
        raise InvalidInput(f"the file is of the kind {said!r}; a memory is a {RAW!r} or a {KVZ!r}", field="body")
    if frame.model is None:
        raise InvalidInput(
            "the file does not name the model whose memory it is",
            resolution="Name the model where the snapshot is made.",
            field="model",
        )
    adapter = get_adapter(frame.model)
    named = replace(frame, model=adapter.model)
    adapter.accept(named)
    return kind, named, profile
