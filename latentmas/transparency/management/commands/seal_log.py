"""Sign a checkpoint of the event log."""

from typing import Any

from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand
from latentmas.transparency import checkpoints


class Command(OperatorCommand):
    help = "Bring the Merkle tree to the end of the event log, sign its root, and print the checkpoint."

    def handle(self, *args: Any, **options: Any) -> None:
        checkpoint = checkpoints.seal(metadata=Metadata(actor="command:seal_log"))
        self.stdout.write(checkpoints.cosigned_note(checkpoint), ending="")
