"""The files of results that are finished but not listed yet, and which nobody should have to compute again."""

from pathlib import Path

from django.conf import settings

from factory.recipes import results
from latentmas.blobs.holders import holder


@holder
def named_by_results(digests: frozenset[str]) -> frozenset[str]:
    found = results.remembered(cache=Path(settings.CACHE_DIR))
    return digests.intersection(digest for each in found for digest in (each.file, each.report))
