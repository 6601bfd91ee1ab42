"""Change the price configuration, or show the one in force."""

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.pricing.commands import configure, in_force
from marketplace.pricing.configuration import BOUNDS, SETTINGS


class Command(BaseCommand):
    help = "Set what the prices of later quotes depend on; without a setting, show what is in force."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name in SETTINGS:
            low, high = BOUNDS[name]
            parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"{low} to {high}")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = {name: options[name] for name in SETTINGS if options[name] is not None}
        try:
            configure(wanted, metadata=Metadata(actor="command:configure_pricing"))
        except LatentMASError as error:
            raise CommandError(error.message) from error
        now = in_force()
        self.stdout.write(f"version {now.version}")
        for name, value in asdict(now.configuration).items():
            self.stdout.write(f"{name} {value}")
