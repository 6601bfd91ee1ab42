"""Grant the bonuses of a month, as the schedule does every night."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput
from marketplace.reputation.bonuses import grant_bonuses
from marketplace.reputation.periods import last_ended, period_of


class Command(BaseCommand):
    help = "Grant the bonuses of a month that has ended; a second time only what the fund did not cover before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--period", help="The month, such as 2026-10; the last one by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            period = period_of(options["period"]) if options["period"] else last_ended(now)
            outcome = grant_bonuses(period, at=now, metadata=Metadata(actor="command:grant_bonuses"))
        except InvalidInput as error:
            raise CommandError(error.message) from error
        for done, names in (
            ("granted", outcome.granted),
            ("cut", outcome.taken_back),
            ("not covered by the fund", outcome.unpaid),
        ):
            self.stdout.write(f"{done}: {len(names)}")
            for name in names:
                self.stdout.write(f"  {name}")
