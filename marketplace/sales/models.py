"""The projections of sales: each sale, what it entitles its buyer to, and what tokens have spent on a day."""

from django.db import models

from marketplace.sales.aggregate import Status
from marketplace.sales.goods import Kind

KINDS = [(kind.value, kind.value) for kind in Kind]
STATUSES = [(status.value, status.value) for status in Status]
MAX_ID = 36


class Sale(models.Model):
    """One purchase, written only by projectors.py; its key is the id of its quote."""

    id = models.CharField(max_length=MAX_ID, primary_key=True)
    buyer = models.CharField(max_length=100)
    seller = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=KINDS)
    item = models.CharField(max_length=100)
    version = models.CharField(max_length=32)
    status = models.CharField(max_length=10, choices=STATUSES)
    held = models.BigIntegerField(help_text="The most it could cost, in minor units.")
    price = models.BigIntegerField(null=True, help_text="As settled, in minor units.")
    currency = models.CharField(max_length=3)
    shares = models.JSONField(default=list, help_text="How the price was divided.")
    refunded = models.BigIntegerField(default=0)
    delivery = models.JSONField()
    configuration = models.PositiveIntegerField(help_text="Version of the price configuration.")
    file_digest = models.CharField(max_length=71, null=True)  # noqa: DJ001 - null: nothing was delivered
    file_size = models.BigIntegerField(null=True)
    file_name = models.CharField(max_length=255, null=True)  # noqa: DJ001
    tokens = models.PositiveIntegerField(null=True)
    report_digest = models.CharField(max_length=71, null=True)  # noqa: DJ001 - null: there is none
    void_reason = models.CharField(max_length=20, null=True)  # noqa: DJ001
    void_code = models.CharField(max_length=60, null=True)  # noqa: DJ001
    opened_at = models.DateTimeField()
    held_until = models.DateTimeField()
    captured_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    stream_version = models.PositiveIntegerField()

    class Meta:
        ordering = ("-opened_at", "id")
        indexes = [
            # A party's own sales, newest first.
            models.Index("buyer", models.F("opened_at").desc(), "id", name="sale_buyer"),
            models.Index("seller", models.F("opened_at").desc(), "id", name="sale_seller"),
            models.Index("item", "captured_at", name="sale_item"),
            # Whose hold has run out?
            models.Index("held_until", name="sale_open", condition=models.Q(status=Status.OPEN)),
        ]

    def __str__(self) -> str:
        return self.id


class Entitlement(models.Model):
    """What a captured sale entitles its buyer to: a major version of an item, or one delivery; until it is refunded."""

    sale = models.CharField(max_length=MAX_ID, primary_key=True)
    agent = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=KINDS)
    item = models.CharField(max_length=100)
    version = models.CharField(max_length=32)
    major = models.CharField(max_length=32, help_text="Of the version: what a purchase of a capability covers.")
    granted_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # May this agent use this item?
            models.Index("item", "agent", "kind", name="entitled_to", condition=models.Q(ended_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.agent}: {self.kind} {self.item} {self.version}"


class MandateSpending(models.Model):
    """What a token with a mandate has spent or reserved on one day; its key is `<token>/<day>`."""

    id = models.CharField(max_length=40, primary_key=True)
    amount = models.BigIntegerField(help_text="Minor units.")

    def __str__(self) -> str:
        return f"{self.id}: {self.amount}"
