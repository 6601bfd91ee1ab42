"""The files of memories in other models' tokens, which no event names."""

from latentmas.blobs.holders import holder
from marketplace.artefacts.models import Retokenised


@holder
def named_by_retokenised(digests: frozenset[str]) -> frozenset[str]:
    known = Retokenised.objects.filter(file_digest__isnull=False)
    return digests.intersection(known.values_list("file_digest", flat=True).iterator())
