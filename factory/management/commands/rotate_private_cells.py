"""Publish the certifier's private texts, and begin to draw others."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from factory.certifying.rotation import rotate
from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError

METADATA = Metadata(actor="command:rotate_private_cells")


class Command(BaseCommand):
    help = "End the rotation of private texts: publish its seeds, salts and texts. Put other files into PRIVATE_TEXTS."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rotation, files = rotate(metadata=METADATA)
        except LatentMASError as error:
            raise CommandError(f"{error.code}: {error.message} {error.advice}".strip()) from error
        self.stdout.write(f"Rotation {rotation} is published: the texts that {files} files were measured on.")
