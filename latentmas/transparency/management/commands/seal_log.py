"""Sign a checkpoint of the event log."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from latentmas.transparency import checkpoints


class Command(BaseCommand):
    help = "Bring the Merkle tree to the end of the event log, sign its root, and print the checkpoint."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            checkpoint = checkpoints.seal(metadata=Metadata(actor="command:seal_log"))
        except LatentMASError as error:
            raise CommandError(f"{error.code}: {error.message} {error.advice}".strip()) from error
        self.stdout.write(checkpoints.cosigned_note(checkpoint), ending="")
