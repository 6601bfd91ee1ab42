"""Projections of what agents have done, of reviews and of bonuses; and the erasable table of what persons write.

`CountedItem`, `CountedVersion` and `CountedSale` are what an agent's counters follow from, row by row, so that a later
event can take back exactly what an earlier one has added.
"""

from django.db import models

from marketplace.configurations.rows import ConfigurationRow
from marketplace.reputation.incentives import BonusKind
from marketplace.sales.models import KINDS, MAX_ID
from marketplace.texts.erasable import ErasableText

MAX_AGENT = 100
BONUS_KINDS = [(kind.value, kind.value) for kind in BonusKind]


class AgentRecord(models.Model):
    """The counters of one agent; `credit.Record` says what each means."""

    agent = models.CharField(max_length=MAX_AGENT, primary_key=True)
    created = models.IntegerField(default=0)
    measured = models.IntegerField(default=0)
    quality = models.BigIntegerField(default=0, help_text="Sum of measured lower ends, in millionths.")
    sold = models.IntegerField(default=0)
    reviews = models.IntegerField(default=0)
    ratings = models.BigIntegerField(default=0, help_text="Sum of the ratings.")

    def __str__(self) -> str:
        return self.agent


class AgentRevenue(models.Model):
    """What sales have brought an agent in one currency, less refunds; its key is `<agent>:<currency>`."""

    id = models.CharField(max_length=MAX_AGENT + 4, primary_key=True)
    agent = models.CharField(max_length=MAX_AGENT, db_index=True)
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField(help_text="Minor units.")

    def __str__(self) -> str:
        return f"{self.id}: {self.amount}"


class CountedItem(models.Model):
    """A listing or an artefact; its key is its stream."""

    id = models.CharField(max_length=200, primary_key=True)
    creator = models.CharField(max_length=MAX_AGENT, help_text="Who listed it: a transfer does not change that.")
    owner = models.CharField(max_length=MAX_AGENT, help_text="Whose later versions are.")
    quarantined = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.id


class CountedVersion(models.Model):
    """One version of an item; its key is `<stream>/<version>`."""

    id = models.CharField(max_length=240, primary_key=True)
    item = models.CharField(max_length=200, db_index=True)
    agent = models.CharField(max_length=MAX_AGENT, help_text="Who owned the item when it was published.")
    examined = models.BooleanField(default=False, help_text="Measured, or screened without findings.")
    quality = models.IntegerField(null=True, help_text="Lower end of the measured retention, in millionths.")

    def __str__(self) -> str:
        return self.id


class CountedSale(models.Model):
    """One sale, with the rating of its review."""

    id = models.CharField(max_length=MAX_ID, primary_key=True)
    buyer = models.CharField(max_length=MAX_AGENT)
    seller = models.CharField(max_length=MAX_AGENT)
    currency = models.CharField(max_length=3)
    price = models.BigIntegerField(null=True, help_text="As settled; null before.")
    platform = models.BigIntegerField(default=0, help_text="The platform's share, less what refunds took back.")
    refunded = models.BigIntegerField(default=0)
    captured_at = models.DateTimeField(null=True)
    rating = models.PositiveSmallIntegerField(null=True, help_text="Null: not reviewed, or the review was removed.")

    class Meta:
        indexes = [  # what bonuses rest on
            models.Index("captured_at", name="counted_sale_captured"),
            models.Index("buyer", "captured_at", name="counted_sale_buyer"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def counts(self) -> bool:
        """Whether it and its review are part of the seller's record: paid for, and not wholly given back."""
        return bool(self.price) and self.refunded != self.price


class Review(models.Model):
    """One buyer's review of one purchase; its key is the sale's."""

    id = models.CharField(max_length=MAX_ID, primary_key=True)
    reviewer = models.CharField(max_length=MAX_AGENT)
    seller = models.CharField(max_length=MAX_AGENT)
    kind = models.CharField(max_length=20, choices=KINDS)
    item = models.CharField(max_length=100)
    version = models.CharField(max_length=32)
    rating = models.PositiveSmallIntegerField()
    text = models.TextField()
    answer = models.TextField(blank=True)
    removed_reason = models.TextField(blank=True)
    texts = models.JSONField(default=dict)
    written_at = models.DateTimeField()
    changed_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)
    stream_version = models.PositiveIntegerField()

    class Meta:
        ordering = ("-written_at", "id")
        indexes = [  # the lists, newest first
            models.Index("seller", models.F("written_at").desc(), "id", name="review_seller"),
            models.Index("item", models.F("written_at").desc(), "id", name="review_item"),
            models.Index(models.F("written_at").desc(), "id", name="review_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.rating} of 5 for {self.item}"


class ReviewText(ErasableText):
    """What a person wrote in or about a review."""

    sale = models.CharField(max_length=MAX_ID, db_index=True)


class CreditConfigurationVersion(ConfigurationRow):
    """One version of the figures that scores depend on."""

    class Meta(ConfigurationRow.Meta):
        verbose_name = "credit configuration"


class IncentivesVersion(ConfigurationRow):
    """One version of the figures that bonuses depend on."""

    class Meta(ConfigurationRow.Meta):
        verbose_name = "bonus configuration"


class Bonus(models.Model):
    """One bonus; its key is `<agent>-<period>-<kind>-<currency>`."""

    id = models.CharField(max_length=190, primary_key=True)
    agent = models.CharField(max_length=MAX_AGENT, db_index=True)
    period = models.CharField(max_length=7, db_index=True)
    kind = models.CharField(max_length=20, choices=BONUS_KINDS)
    currency = models.CharField(max_length=3)
    basis = models.BigIntegerField(help_text="The platform's share that it is a part of, in minor units.")
    percent = models.PositiveSmallIntegerField()
    amount = models.BigIntegerField(help_text="As granted, in minor units.")
    taken_back = models.BigIntegerField(default=0)
    configuration = models.PositiveIntegerField(help_text="Version of the bonus configuration.")
    granted_at = models.DateTimeField()

    class Meta:
        ordering = ("-period", "id")
        verbose_name_plural = "bonuses"

    def __str__(self) -> str:
        return self.id


class BonusFilling(models.Model):
    """One amount that the operator has set aside for bonuses; its key is the event's."""

    id = models.CharField(max_length=36, primary_key=True)
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField(help_text="Minor units, above zero.")
    reason = models.TextField()
    texts = models.JSONField(default=dict)
    actor = models.CharField(max_length=100)
    at = models.DateTimeField()

    class Meta:
        ordering = ("-at", "id")
        verbose_name = "filling of the bonus fund"
        verbose_name_plural = "fillings of the bonus fund"

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class BonusText(ErasableText):
    """Why an operator has filled the fund."""

    currency = models.CharField(max_length=3, db_index=True)
