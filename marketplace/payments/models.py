"""The projections of top-ups and payouts, what persons wrote about them, and authorisations that are being settled."""

from django.db import models
from django.db.models import Q

from marketplace.payments.payout_aggregate import PayoutStatus
from marketplace.payments.top_up_aggregate import OPEN, TopUpStatus
from marketplace.texts.erasable import ErasableText

MAX_REFERENCE = 255


class TopUp(models.Model):
    """Money that an agent pays in, written only by projectors.py."""

    id = models.CharField(max_length=36, primary_key=True)
    agent_id = models.CharField(max_length=36)
    gateway = models.CharField(max_length=20)
    amount = models.BigIntegerField(help_text="Minor units.")
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=12, choices=[(each.value, each.value) for each in TopUpStatus])
    reference = models.CharField(max_length=MAX_REFERENCE, null=True, help_text="The gateway's name of it.")  # noqa: DJ001
    disputes = models.JSONField(default=dict, help_text="Open disputes, with their amounts.")
    returned = models.BigIntegerField(default=0, help_text="What the gateway has taken back.")
    failure = models.CharField(max_length=20, null=True, help_text="Why it failed, if it did.")  # noqa: DJ001
    stream_version = models.PositiveIntegerField()
    requested_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("-requested_at", "id")
        indexes = [
            models.Index("agent_id", "requested_at", "id", name="top_up_agent"),
            models.Index("gateway", "reference", name="top_up_reference"),
            models.Index("requested_at", name="top_up_open", condition=Q(status__in=[each.value for each in OPEN])),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} by {self.gateway}"


class Payout(models.Model):
    """Money that an agent wants out, written only by projectors.py."""

    id = models.CharField(max_length=36, primary_key=True)
    agent_id = models.CharField(max_length=36)
    amount = models.BigIntegerField(help_text="Minor units.")
    currency = models.CharField(max_length=3)
    destination = models.CharField(max_length=71, help_text="Commitment to where it is to be sent.")
    status = models.CharField(max_length=12, choices=[(each.value, each.value) for each in PayoutStatus])
    stream_version = models.PositiveIntegerField()
    requested_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("-requested_at", "id")
        indexes = [models.Index("agent_id", "requested_at", "id", name="payout_agent")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} to {self.agent_id}"


class PaymentText(ErasableText):
    """What a person wrote in a stream of a top-up or payout: a reason, or where money is to be sent."""

    stream = models.CharField(max_length=200, db_index=True)


class HeldAuthorisation(models.Model):
    """What a payer has signed, kept while its top-up is open so that it can be settled again; an ordinary table."""

    top_up_id = models.CharField(max_length=36, primary_key=True)
    document = models.JSONField()

    def __str__(self) -> str:
        return self.top_up_id
