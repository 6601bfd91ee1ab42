"""The files that one part of an open job has left for another."""

from collections.abc import Iterator
from typing import Any

from latentmas.blobs.holders import holder
from latentmas.jobs.models import OPEN, Job


@holder
def named_by_open_jobs(digests: frozenset[str]) -> frozenset[str]:
    results = Job.objects.filter(parent__state__in=OPEN, result__isnull=False).values_list("result", flat=True)
    return digests.intersection(text for result in results.iterator() for text in _texts(result))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
