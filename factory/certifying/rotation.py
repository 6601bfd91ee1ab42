"""End a rotation of the private texts: publish its seeds, salts and texts, and open the next one."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from factory.certifying.draws import commitment_of
from factory.corpora.documents import digest_of
from factory.models import PrivateDraw
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.canonical import canonical
from marketplace.certification.commands import open_rotation, publish_rotation
from marketplace.listings.events.listing import StoredFile


def rotate(*, metadata: Metadata) -> tuple[int, int]:
    """Publish the open rotation, and return its number and how many files were measured in it.

    Raises StorageUnavailable.
    """
    rotation = open_rotation()
    draws = list(PrivateDraw.objects.filter(rotation__lte=rotation, texts__isnull=False).order_by("rotation", "file"))
    content = canonical(document_of(rotation, draws))
    file = StoredFile(blobs.put_bytes(content), len(content))
    with transaction.atomic():
        publish_rotation(rotation, file, metadata=metadata)
        PrivateDraw.objects.filter(id__in=[draw.id for draw in draws]).delete()
        open_rotation()
    return rotation, len(draws)


def document_of(rotation: int, draws: Iterable[PrivateDraw]) -> dict[str, Any]:
    """Return what is published: every draw with its commitment, and each text once, by its hex SHA-256."""
    texts: dict[str, str] = {}
    entries = []
    for draw in draws:
        assert draw.texts is not None
        texts |= {digest_of(text): text for each in draw.texts.values() for text in each}
        entries.append(
            {
                "rotation": draw.rotation,
                "file": draw.file,
                "seed": draw.seed,
                "salt": draw.salt,
                "commitment": commitment_of(draw),
                "texts": {register: [digest_of(text) for text in each] for register, each in draw.texts.items()},
            }
        )
    return {"rotation": rotation, "draws": entries, "texts": texts}
