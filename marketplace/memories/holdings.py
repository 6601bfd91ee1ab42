"""The files of stored memories: an ordinary table, of which no event knows."""

from latentmas.blobs.holders import holder
from marketplace.memories.models import StoredMemory


@holder
def named_by_memories(digests: frozenset[str]) -> frozenset[str]:
    return digests.intersection(StoredMemory.objects.values_list("digest", flat=True).iterator())
