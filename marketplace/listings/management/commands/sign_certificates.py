"""Sign certificates that wait for it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.listings import signing

BY = Metadata(actor="command:sign_certificates")


class Command(BaseCommand):
    help = "Sign the certificates that were decided since the last time; --replace signs those of another key anew."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--replace", metavar="KEY_ID", help="sign what this key has signed by the key in force")

    def handle(self, *args: Any, replace: str | None, **options: Any) -> None:
        try:
            read = signing.sign_certificates(metadata=BY)
            replaced = signing.replace_signatures(replace, metadata=BY) if replace else 0
        except LatentMASError as error:
            raise CommandError(f"{error.code}: {error.message} {error.advice}".strip()) from error
        self.stdout.write(f"{read} events read, {replaced} signatures replaced.")
