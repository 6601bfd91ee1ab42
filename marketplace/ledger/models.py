"""The ledger's projections: every transfer, and the balances of those accounts that have a row."""

from django.db import models

MAX_ACCOUNT = 100


class Balance(models.Model):
    """What an account holds, written only by projectors.py. Spending locks the row first (`balances.lock`)."""

    account = models.CharField(max_length=MAX_ACCOUNT, primary_key=True)
    agent = models.CharField(max_length=36, null=True, db_index=True, help_text="Whose wallet it is.")  # noqa: DJ001
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField(help_text="Minor units.")

    def __str__(self) -> str:
        return f"{self.account}: {self.amount}"


class LedgerTransfer(models.Model):
    """One movement of money between two accounts."""

    id = models.CharField(max_length=50, primary_key=True, help_text="Event id and the place in the event.")
    stream = models.CharField(max_length=200, help_text="What it moved for: sale/..., top-up/..., payout/....")
    purpose = models.CharField(max_length=20)
    debit = models.CharField(max_length=MAX_ACCOUNT)
    credit = models.CharField(max_length=MAX_ACCOUNT)
    amount = models.BigIntegerField(help_text="Minor units, above zero.")
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()

    class Meta:
        ordering = ("at", "id")
        constraints = [models.CheckConstraint(condition=models.Q(amount__gt=0), name="ledger_transfer_positive")]
        indexes = [  # statements, and the sums of accounts without a row
            models.Index("debit", "at", name="ledger_debit"),
            models.Index("credit", "at", name="ledger_credit"),
            models.Index("stream", name="ledger_stream"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}: {self.debit} -> {self.credit}"
