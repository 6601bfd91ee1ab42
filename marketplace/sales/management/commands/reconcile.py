"""Void the purchases whose process has died, and give back what they hold."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from latentmas.events.types import Metadata
from marketplace.sales.reconciling import reconcile


class Command(BaseCommand):
    help = "Void open purchases whose hold has run out; safe at any time, beside live traffic."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="all open ones: after a crash, before requests come in")

    def handle(self, *args: Any, **options: Any) -> None:
        done = reconcile(at=timezone.now(), everything=options["all"], metadata=Metadata(actor="command:reconcile"))
        self.stdout.write(f"{done.voided} voided, {done.open} open")
