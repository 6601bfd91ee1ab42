"""Erase what persons wrote about a listing, in reports too; the log only commits to it and stays verifiable."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from latentmas.events.types import Metadata
from marketplace.curation.commands import erase_written
from marketplace.listings.models import Listing


class Command(BaseCommand):
    help = "Erase title, description, reasons and messages of a listing, and what reports of it say, for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("listing", help="its id")

    def handle(self, *args: Any, **options: Any) -> None:
        listing_id: str = options["listing"]
        if not Listing.objects.filter(id=listing_id).exists():
            raise CommandError(f"there is no listing {listing_id!r}")
        erased = erase_written(listing_id, metadata=Metadata(actor="command:erase_texts"))
        self.stdout.write(f"{erased} texts and reports erased")
