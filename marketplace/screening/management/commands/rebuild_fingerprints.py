"""Make all fingerprints anew."""

from typing import Any

from django.core.management.base import BaseCommand

from marketplace.screening.rebuilding import rebuild


class Command(BaseCommand):
    help = "Make the fingerprints of all memories on sale anew, as after a change of SECRET_KEY, and drop all others."

    def handle(self, *args: Any, **options: Any) -> None:
        made, unreadable = rebuild()
        self.stdout.write(f"{made} fingerprints made; {len(unreadable)} files could not be read")
        for name in unreadable:
            self.stdout.write(name)
