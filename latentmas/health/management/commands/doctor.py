"""Say what is wrong with this deployment."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from latentmas.health.doctor import examine
from latentmas.health.findings import Level


class Command(BaseCommand):
    help = "Examine this deployment and say in plain words what is wrong with it and what to do; exit 1 if anything is."
    requires_system_checks: list[str] = []  # they are among what is examined

    def handle(self, *args: Any, **options: Any) -> None:
        styles = {Level.OK: self.style.SUCCESS, Level.NOTE: self.style.NOTICE, Level.WRONG: self.style.ERROR}
        count = 0
        for each in examine():
            count += each.level is Level.WRONG
            advice = f". {each.advice}" if each.advice else ""
            self.stdout.write(f"{styles[each.level](f'{each.level.value:5}')}  {each.what}{advice}")
        if count:
            raise CommandError(f"{count} thing{' is' if count == 1 else 's are'} wrong")
