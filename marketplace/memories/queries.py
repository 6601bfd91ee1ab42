"""Reads of stored memories; an account sees only its own."""

import re

from django.contrib.auth.models import User
from django.db.models import QuerySet

from latentmas import blobs
from latentmas.protocol.errors import NotFound
from marketplace.memories.models import StoredMemory

ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def memories_of(owner: User) -> QuerySet[StoredMemory]:
    """Return an account's memories, newest first."""
    return StoredMemory.objects.filter(owner=owner)


def get_memory(owner: User, *, memory_id: str) -> StoredMemory:
    """Return one of the account's memories. Raises NotFound, also for another's."""
    row = memories_of(owner).filter(id=memory_id).first() if ID.fullmatch(memory_id) else None
    if row is None:
        raise NotFound(f"you have no memory {memory_id!r}", resolution="GET /api/stored-memories names yours.")
    return row


def file_of(row: StoredMemory) -> bytes:
    """Return the bytes of a memory's file. Raises NotFound where they are gone."""
    return blobs.get_bytes(row.digest)
