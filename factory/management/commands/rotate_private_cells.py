"""Publish the certifier's private texts, and begin to draw others."""

from typing import Any

from factory.certifying.rotation import rotate
from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand

METADATA = Metadata(actor="command:rotate_private_cells")


class Command(OperatorCommand):
    help = "End the rotation of private texts: publish its seeds, salts and texts. Put other files into PRIVATE_TEXTS."

    def handle(self, *args: Any, **options: Any) -> None:
        rotation, files = rotate(metadata=METADATA)
        self.stdout.write(f"Rotation {rotation} is published: the texts that {files} files were measured on.")
