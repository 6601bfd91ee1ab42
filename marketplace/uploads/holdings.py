"""The files of finished uploads, which no event names before they are published."""

from latentmas.blobs.holders import holder
from marketplace.uploads.models import Upload


@holder
def named_by_uploads(digests: frozenset[str]) -> frozenset[str]:
    stored = Upload.objects.filter(stored_at__isnull=False)
    return digests.intersection(stored.values_list("digest", flat=True).iterator())
