"""Rebuild the projection tables from the event log, or check them against it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from latentmas.events import rebuilding
from latentmas.events.projections import Projector
from latentmas.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = (
        "Rebuild projections from the event log while writers go on; --check only compares and exits 1 on differences."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; compare the tables with the log")
        parser.add_argument(
            "--projector", action="append", default=[], metavar="NAME", help="only this projector; may be repeated"
        )

    def handle(self, *args: Any, check: bool, projector: list[str], **options: Any) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        selected = rebuilding.chosen(projector)
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("projecting events", total=None)

            def progress(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            if check:
                differences = rebuilding.check(selected, progress=progress)
            else:
                events = rebuilding.rebuild(selected, progress=progress)
        if not check:
            self.stdout.write(f"Rebuilt {_tables(selected)} from {events} events.")
            return
        for each in differences:
            self.stdout.write(
                f"{each.table}: {each.only_live} rows that the log does not give, {each.only_log} rows missing"
            )
        if differences:
            raise CommandError("the tables differ from the log; run rebuild_projections")
        self.stdout.write(f"{_tables(selected)} as the log gives them.")


def _tables(selected: list[Projector]) -> str:
    count = sum(len(each.writes) for each in selected)
    return f"{count} table{'' if count == 1 else 's'}"
