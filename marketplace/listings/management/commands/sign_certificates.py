"""Sign certificates that wait for it."""

from argparse import ArgumentParser
from typing import Any

from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand
from marketplace.listings.certificates import signing

BY = Metadata(actor="command:sign_certificates")


class Command(OperatorCommand):
    help = "Sign the certificates that were decided since the last time; --replace signs those of another key anew."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--replace", metavar="KEY_ID", help="sign what this key has signed by the key in force")

    def handle(self, *args: Any, replace: str | None, **options: Any) -> None:
        read = signing.sign_certificates(metadata=BY)
        replaced = signing.replace_signatures(replace, metadata=BY) if replace else 0
        self.stdout.write(f"{read} events read, {replaced} signatures replaced.")
