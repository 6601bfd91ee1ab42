"""Verify the event log and its Merkle tree."""

import itertools
import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from latentmas.events.models import Event
from latentmas.events.verification import verify
from latentmas.transparency.verification import verify_tree


class Command(BaseCommand):
    help = (
        "Check positions, versions, bodies, columns and leaf hashes of the event log, and its tree and checkpoints "
        "against them; exit 1 naming every fault."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="write one JSON object instead of sentences")

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        faults: list[dict[str, object]] = []
        for fault in itertools.chain(verify(), verify_tree()):
            count += 1
            if options["json"]:
                faults.append(asdict(fault))
            else:
                self.stdout.write(fault.what if fault.position is None else f"position {fault.position}: {fault.what}")
        events = Event.objects.count()
        if options["json"]:
            self.stdout.write(json.dumps({"events": events, "faults": faults}, ensure_ascii=False))
        if count:
            raise CommandError(f"{count} fault{'' if count == 1 else 's'} in a log of {events} events")
        if not options["json"]:
            self.stdout.write(f"{events} events, no fault.")
