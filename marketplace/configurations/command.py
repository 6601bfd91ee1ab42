"""The management command that every configuration has: change it, or show what is in force."""

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.configurations.configurable import Configurable


class ConfigureCommand(BaseCommand):
    """Subclasses name their configuration, and themselves for the record."""

    configurable: ClassVar[Configurable[Any]]
    actor: ClassVar[str]

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name in self.configurable.settings:
            low, high = self.configurable.bounds[name]
            parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"{low} to {high}")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = {name: options[name] for name in self.configurable.settings if options[name] is not None}
        try:
            self.configurable.configure(wanted, metadata=Metadata(actor=self.actor))
        except LatentMASError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"version {self.configurable.in_force().version}")
        for name, value in self.configurable.values().items():
            self.stdout.write(f"{name} {value}")
