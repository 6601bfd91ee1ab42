"""Start a run of the factory."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from factory.cold_start.jobs import start_run
from factory.tasks import HOURS
from latentmas.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = "Let the workers make and publish the planned pairs that are due, unless they are at it already."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--hours", type=int, default=HOURS, help="After so many, no further pair is begun.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["hours"] < 1:
            raise CommandError(f"--hours is {options['hours']}; it must be at least 1")
        job = start_run(hours=options["hours"])
        due = len(job.arguments["simulated"]) + len(job.arguments["measured"])
        self.stdout.write(f"The workers go through {due} pairs that may be due; /api/jobs shows how far they are.")
