"""Erase what persons wrote about an artefact; the log only commits to it and stays verifiable."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from latentmas.events.types import Metadata
from marketplace.artefacts.commands import erase_texts
from marketplace.artefacts.models import Artefact


class Command(BaseCommand):
    help = "Erase title, description, rights statements and reasons of an artefact, for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("artefact", help="its id")

    def handle(self, *args: Any, **options: Any) -> None:
        artefact_id: str = options["artefact"]
        if not Artefact.objects.filter(id=artefact_id).exists():
            raise CommandError(f"there is no artefact {artefact_id!r}")
        recorded = erase_texts(artefact_id, metadata=Metadata(actor="command:erase_artefact_texts"))
        self.stdout.write(f"{sum(len(each.data.commitments) for each in recorded)} texts erased")
