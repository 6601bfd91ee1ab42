"""List, retire and revoke the keys that sign checkpoints and certificates."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand
from latentmas.transparency import keys
from latentmas.transparency.events import RevocationReason
from latentmas.transparency.models import SigningKey

BY = Metadata(actor="command:signing_keys")


class Command(OperatorCommand):
    help = "List the signing keys on record; --retire ends the use of one, --revoke takes back all it has signed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        wanted = parser.add_mutually_exclusive_group()
        wanted.add_argument("--retire", metavar="KEY_ID")
        wanted.add_argument("--revoke", metavar="KEY_ID")
        parser.add_argument("--reason", choices=[each.value for each in RevocationReason], help="of a revocation")

    def handle(self, *args: Any, retire: str | None, revoke: str | None, reason: str | None, **options: Any) -> None:
        if (revoke is None) != (reason is None):
            raise CommandError("--revoke and --reason go together")
        if retire:
            keys.retire_key(retire, metadata=BY)
        if revoke and reason:
            keys.revoke_key(revoke, reason=RevocationReason(reason), metadata=BY)
        for row in SigningKey.objects.all():
            self.stdout.write(f"{row.key_id} {row.purpose} {row.state} {row.name}")
