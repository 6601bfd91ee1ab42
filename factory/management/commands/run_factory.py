"""Start a run of the factory."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from factory.cold_start.jobs import start_run
from factory.tasks import HOURS
from latentmas.protocol.errors import LatentMASError


class Command(BaseCommand):
    help = "Let the workers make and publish the planned pairs that are due, unless they are at it already."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--hours", type=int, default=HOURS, help="After so many, no further pair is begun.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["hours"] < 1:
            raise CommandError(f"--hours is {options['hours']}; it must be at least 1")
        try:
            job = start_run(hours=options["hours"])
        except LatentMASError as error:
            raise CommandError(f"{error.code}: {error.message} {error.advice}".strip()) from error
        due = len(job.arguments["simulated"]) + len(job.arguments["measured"])
        self.stdout.write(f"The workers go through {due} pairs that may be due; /api/jobs shows how far they are.")
