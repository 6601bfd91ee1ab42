"""Ask the payment gateways about open top-ups."""

from typing import Any

from django.core.management.base import BaseCommand

from latentmas.events.types import Metadata
from marketplace.payments.reconciling import reconcile_all


class Command(BaseCommand):
    help = "Ask the gateways about every top-up that is open or unknown, and record what they say."

    def handle(self, *args: Any, **options: Any) -> None:
        found = reconcile_all(metadata=Metadata(actor="command:reconcile_payments"))
        for status, count in sorted(found.items()):
            self.stdout.write(f"{count} {status}")
        if not found:
            self.stdout.write("No top-up is open.")
