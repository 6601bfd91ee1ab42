"""The projections of disputes and acceptances, and what persons wrote in them."""

from django.db import models

from marketplace.claims.acceptance_aggregate import AcceptanceStatus
from marketplace.claims.aggregate import DisputeStatus
from marketplace.claims.events import DisputeKind, Outcome
from marketplace.sales.models import MAX_ID
from marketplace.texts.erasable import ErasableText

MAX_AGENT, MAX_COMMITMENT = 100, 71
KINDS = [(each.value, each.value) for each in DisputeKind]
DISPUTE_STATUSES = [(each.value, each.value) for each in DisputeStatus]
OUTCOMES = [(each.value, each.value) for each in Outcome]
ACCEPTANCE_STATUSES = [(each.value, each.value) for each in AcceptanceStatus]


class Dispute(models.Model):
    """A sale's dispute, the last one where there were several; written only by projectors.py."""

    id = models.CharField(max_length=MAX_ID, primary_key=True, help_text="The sale's.")
    buyer = models.CharField(max_length=MAX_AGENT)
    seller = models.CharField(max_length=MAX_AGENT)
    kind = models.CharField(max_length=20, choices=KINDS)
    status = models.CharField(max_length=10, choices=DISPUTE_STATUSES)
    outcome = models.CharField(max_length=16, choices=OUTCOMES, null=True)  # noqa: DJ001 - null: not decided
    amount = models.BigIntegerField(help_text="Minor units in dispute.")
    reserved = models.BigIntegerField(help_text="Minor units of the seller's that were set aside.")
    refunded = models.BigIntegerField(null=True, help_text="Minor units that the decision gave back.")
    currency = models.CharField(max_length=3)
    text = models.CharField(max_length=MAX_COMMITMENT, help_text="Commitment to what the buyer wrote.")
    answer = models.CharField(max_length=MAX_COMMITMENT, null=True)  # noqa: DJ001 - null: there is none
    reason = models.CharField(max_length=MAX_COMMITMENT, null=True)  # noqa: DJ001
    stream_version = models.PositiveIntegerField()
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("opened_at", "id")
        indexes = [
            models.Index("buyer", "opened_at", "id", name="dispute_buyer"),
            models.Index("seller", "opened_at", "id", name="dispute_seller"),
            # The curators' queue.
            models.Index("opened_at", name="dispute_open", condition=models.Q(ended_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.amount} {self.currency} of {self.id}"


class DisputeText(ErasableText):
    """What a person wrote in a stream of a dispute."""

    stream = models.CharField(max_length=200, db_index=True)


class Acceptance(models.Model):
    """What became of a buyer's texts, written only by projectors.py."""

    id = models.CharField(max_length=MAX_ID, primary_key=True, help_text="The quote's, and so the sale's.")
    buyer = models.CharField(max_length=MAX_AGENT)
    seller = models.CharField(max_length=MAX_AGENT)
    item = models.CharField(max_length=100)
    version = models.CharField(max_length=32)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=12, choices=ACCEPTANCE_STATUSES)
    promise = models.JSONField(help_text="Mode, length, and the lower end that the certificate states.")
    named = models.PositiveIntegerField(help_text="Texts.")
    kept = models.JSONField(null=True, help_text="The pooled retention with its interval.")
    counted = models.PositiveIntegerField(null=True, help_text="Texts that were measured on.")
    scored_tokens = models.PositiveIntegerField(null=True)
    below = models.BooleanField(null=True, help_text="Whether the upper end lies below what was promised.")
    refunded = models.BigIntegerField(null=True, help_text="Minor units.")
    code = models.CharField(max_length=60, null=True, help_text="Why nothing was measured.")  # noqa: DJ001
    quote_expires_at = models.DateTimeField()
    stream_version = models.PositiveIntegerField()
    requested_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("requested_at", "id")
        indexes = [
            models.Index("buyer", "requested_at", "id", name="acceptance_buyer"),
            models.Index("seller", "requested_at", "id", name="acceptance_seller"),
            models.Index("requested_at", name="acceptance_open", condition=models.Q(status=AcceptanceStatus.REQUESTED)),
        ]

    def __str__(self) -> str:
        return f"{self.item} {self.version}: {self.status}"


class AcceptanceText(ErasableText):
    """A text that a buyer has named; the row is deleted as soon as the acceptance has ended."""

    stream = models.CharField(max_length=200, db_index=True)
