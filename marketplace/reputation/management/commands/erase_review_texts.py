"""Erase for good what persons wrote in and about a review."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from latentmas.events.types import Metadata
from latentmas.protocol.errors import NotFound
from marketplace.reputation.review_commands import erase_review_texts


class Command(BaseCommand):
    help = "Erase for good what persons wrote in and about a review; its rating stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("review", help="The id of its purchase.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            recorded = erase_review_texts(options["review"], metadata=Metadata(actor="command:erase_review_texts"))
        except NotFound as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{sum(len(event.data.commitments) for event in recorded)} texts are erased")
