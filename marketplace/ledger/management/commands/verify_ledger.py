"""Verify that the ledger adds up."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from marketplace.ledger.models import LedgerTransfer
from marketplace.ledger.verification import ledger_faults


class Command(BaseCommand):
    help = (
        "Check every balance against its transfers, and that the sum over all accounts is zero in each currency; "
        "exit 1 naming every fault."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        faults = 0
        for fault in ledger_faults():
            faults += 1
            self.stdout.write(fault)
        transfers = LedgerTransfer.objects.count()
        if faults:
            raise CommandError(f"{faults} fault{'' if faults == 1 else 's'} in a ledger of {transfers} transfers")
        self.stdout.write(f"{transfers} transfers, no fault.")
