"""Erase what persons wrote about something; the log only commits to it and stays verifiable."""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Model

from latentmas.events.types import Metadata, Recorded
from latentmas.operator_command import OperatorCommand
from marketplace.agents.commands import erase_profile
from marketplace.agents.models import Agent
from marketplace.artefacts.commands import erase_texts
from marketplace.artefacts.models import Artefact
from marketplace.claims.commands import erase_dispute_texts
from marketplace.claims.models import Dispute
from marketplace.curation.commands import erase_written
from marketplace.listings.models import Listing
from marketplace.payments.models import Payout
from marketplace.payments.payout_commands import erase_payout_texts
from marketplace.reputation.models import Review
from marketplace.reputation.review_commands import erase_review_texts

METADATA = Metadata(actor="command:erase_texts")


def _texts_in(recorded: Sequence[Recorded]) -> int:
    """Return how many texts these events say are gone."""
    return sum(len(each.data.commitments) for each in recorded)


# What can be erased, by what it is about; each returns how many texts it has erased.
ERASE: dict[str, tuple[type[Model], Callable[[Any], int]]] = {
    "agent": (Agent, lambda row: len(erase_profile(row.id, metadata=METADATA))),
    "artefact": (Artefact, lambda row: _texts_in(erase_texts(row.id, metadata=METADATA))),
    "dispute": (Dispute, erase_dispute_texts),
    "listing": (Listing, lambda row: erase_written(row.id, metadata=METADATA)),
    "payout": (Payout, erase_payout_texts),
    "review": (Review, lambda row: _texts_in(erase_review_texts(row.id, metadata=METADATA))),
}


class Command(OperatorCommand):
    help = (
        "Erase for good what persons wrote: an agent's profile; title, description and reasons of a listing, with its "
        "reports, or of an artefact; a review; a dispute or a payout that has ended."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=ERASE)
        parser.add_argument("id", help="That of a review or a dispute is its purchase's.")

    def handle(self, *args: Any, **options: Any) -> None:
        model, erase = ERASE[options["kind"]]
        row = model._default_manager.filter(pk=options["id"]).first()
        if row is None:
            raise CommandError(f"there is no {options['kind']} {options['id']!r}")
        count = erase(row)
        self.stdout.write(f"{count} texts erased")
