"""What the management commands share: how they say what went wrong, and where they draw tables and bars."""

from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from latentmas.protocol.errors import LatentMASError

LOG_WIDTH = 160  # columns of a table that goes into a file


def said(error: LatentMASError) -> str:
    """Return an error in one line: its code, what was wrong, and what would be right."""
    return f"{error.code}: {error.message} {error.advice}".strip()


class OperatorCommand(BaseCommand):
    """A command that ends in one line and the exit status 1 where the product refuses what it was asked for."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except LatentMASError as error:
            raise CommandError(said(error)) from error

    def console(self) -> Console:
        """Return a console on the command's output, which ends its own lines from now on."""
        self.stdout.ending = ""
        stdout = cast(TextIO, self.stdout)
        return Console(file=stdout, width=None if stdout.isatty() else LOG_WIDTH)
