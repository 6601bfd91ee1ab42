"""A memory's file goes with its last row, however the row goes: by its owner, a curator, or with the account."""

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from latentmas import blobs
from marketplace.memories.models import StoredMemory


@receiver(post_delete, sender=StoredMemory)
def remove_file(sender: type[StoredMemory], instance: StoredMemory, **_: Any) -> None:
    """Delete the file once the deletion is certain, where no other account keeps the same."""
    transaction.on_commit(partial(_remove, instance.digest))


def _remove(digest: str) -> None:
    if not StoredMemory.objects.filter(digest=digest).exists():
        blobs.delete(digest)
