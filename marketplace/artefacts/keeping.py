"""The files of artefacts outlive the stored memories that they were published from."""

from marketplace.artefacts.models import ArtefactSegment, ArtefactVersion
from marketplace.memories.keeping import keeper


@keeper
def is_published(digest: str) -> bool:
    """Return whether a version, its canary or a segment is exactly this file."""
    versions = ArtefactVersion.objects
    return (
        versions.filter(file_digest=digest).exists()
        or versions.filter(canary_digest=digest).exists()
        or ArtefactSegment.objects.filter(file_digest=digest).exists()
    )
