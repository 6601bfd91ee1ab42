"""The files that events name, of whatever type: all are held, as the log is never shortened."""

import re

from latentmas.blobs.holders import holder
from latentmas.events.models import Event

DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
BATCH = 500  # events in memory at a time, of at most 32 KiB


@holder
def named_by_events(digests: frozenset[str]) -> set[str]:
    wanted, found = {digest.encode() for digest in digests}, set[bytes]()
    if not wanted:
        return set()
    for body in Event.objects.order_by("position").values_list("body", flat=True).iterator(chunk_size=BATCH):
        found.update(wanted.intersection(DIGEST.findall(bytes(body))))
    return {digest.decode() for digest in found}
