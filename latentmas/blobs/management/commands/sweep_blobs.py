"""Delete stored files that nobody names."""

from argparse import ArgumentParser
from typing import Any

from latentmas.blobs.sweeping import sweep
from latentmas.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = "Delete files that no event, row or kept result names and that are older than a day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say which they are")

    def handle(self, *args: Any, **options: Any) -> None:
        swept = sweep(dry_run=options["dry_run"])
        for each in swept.orphans:
            self.stdout.write(f"{each.digest} {each.size} bytes, written {each.modified:%Y-%m-%d %H:%M}")
        size = sum(each.size for each in swept.orphans)
        done = "would be deleted" if options["dry_run"] else "deleted"
        self.stdout.write(
            f"{len(swept.orphans)} of {swept.seen} files {done} ({size} bytes); "
            f"remains of unfinished uploads removed: {swept.unfinished}."
        )
