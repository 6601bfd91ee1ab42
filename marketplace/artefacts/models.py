"""Projections of the artefacts' events, written only by projectors.py, and two tables that no event knows of.

Columns with what persons wrote are copies of `ArtefactText`, which can be erased; `texts` names the commitment of each
such column. `Retokenised` can be emptied and made anew from the files.
"""

from django.db import models

from marketplace.sales.models import KINDS
from marketplace.texts.erasable import ErasableText

MAX_DIGEST = 71


class Screening(models.TextChoices):
    """How the screening of a version stands."""

    PENDING = "pending"
    PASSED = "passed"
    REFUSED = "refused"


class Artefact(models.Model):
    """A memory, chain, long-term memory or file of embeddings on sale, with the figures of its newest version on offer.

    Those columns are null where nothing is on offer.
    """

    id = models.CharField(max_length=36, primary_key=True)
    kind = models.CharField(max_length=20, choices=KINDS)
    model = models.CharField(max_length=100, help_text="Registry name.")
    seller = models.CharField(max_length=36, help_text="The agent that sells it.")
    title = models.TextField()
    description = models.TextField()
    price_amount = models.BigIntegerField(help_text="Minor units; the formula's base price, or the price itself.")
    price_currency = models.CharField(max_length=3)
    floor = models.BigIntegerField(null=True, help_text="Minor units: sold for no less.")
    discount = models.PositiveSmallIntegerField(default=0, help_text="Per cent.")
    quarantined_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)
    withheld_reason = models.TextField(blank=True, help_text="Of the quarantine or the withdrawal.")
    texts = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    stream_version = models.PositiveIntegerField()
    version = models.CharField(max_length=32, null=True)  # noqa: DJ001 - null: nothing is on offer
    tokens = models.PositiveIntegerField(null=True)
    parts = models.PositiveIntegerField(null=True)
    method = models.CharField(max_length=40, null=True)  # noqa: DJ001
    uniqueness = models.FloatField(null=True)
    retention = models.JSONField(null=True, help_text="Value, low and high as measured on its own model.")
    file_digest = models.CharField(max_length=MAX_DIGEST, null=True)  # noqa: DJ001

    class Meta:
        ordering = ("price_amount", "id")
        indexes = [  # the lists
            models.Index("kind", "price_amount", "id", name="artefact_kind_price"),
            models.Index("kind", "model", "price_amount", "id", name="artefact_kind_model"),
            models.Index("seller", name="artefact_seller"),
        ]

    def __str__(self) -> str:
        return f"{self.title}: {self.kind} of {self.model} ({self.id})"


class ArtefactVersion(models.Model):
    """One file of an artefact, with what its screening found."""

    id = models.CharField(max_length=70, primary_key=True)  # <artefact>/<version>
    artefact_id = models.CharField(max_length=36)
    version = models.CharField(max_length=32)
    major = models.PositiveIntegerField()
    minor = models.PositiveIntegerField()
    patch = models.PositiveIntegerField()
    file_digest = models.CharField(max_length=MAX_DIGEST)
    file_size = models.BigIntegerField()
    contents = models.JSONField(help_text="What anybody may know of the file; see events.Contents.")
    canary_digest = models.CharField(max_length=MAX_DIGEST, null=True)  # noqa: DJ001 - null: none is given away
    canary_size = models.BigIntegerField(null=True)
    rights = models.TextField(blank=True)
    texts = models.JSONField(default=dict)
    published_at = models.DateTimeField()
    screening = models.CharField(max_length=10, choices=Screening.choices, default=Screening.PENDING)
    findings = models.JSONField(default=list)
    duplicate_of = models.CharField(max_length=70, null=True)  # noqa: DJ001
    uniqueness = models.FloatField(null=True)
    retention = models.JSONField(null=True)
    screened_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("artefact_id", "major", "minor", "patch")
        indexes = [
            models.Index("artefact_id", name="artefact_version_of"),
            models.Index("file_digest", name="artefact_version_file"),  # exact duplicates
            models.Index("canary_digest", name="artefact_canary_file"),  # does anybody still need the file?
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def number(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch

    @property
    def offered(self) -> bool:
        """Whether its screening has found nothing against it; its artefact may be withheld all the same."""
        return self.screening == Screening.PASSED


class ArtefactParent(models.Model):
    """One artefact is made from another."""

    id = models.CharField(max_length=73, primary_key=True)  # <child>/<parent>
    child_id = models.CharField(max_length=36)
    parent_id = models.CharField(max_length=36)
    basis_points = models.PositiveIntegerField(help_text="Of the child's price.")

    class Meta:
        ordering = ("child_id", "parent_id")
        indexes = [  # both directions of the lineage
            models.Index("child_id", name="artefact_parents"),
            models.Index("parent_id", name="artefact_children"),
        ]

    def __str__(self) -> str:
        return self.id


class ArtefactSegment(models.Model):
    """One part of a long-term memory."""

    id = models.CharField(max_length=73, primary_key=True)  # <artefact>/<segment>
    artefact_id = models.CharField(max_length=36)
    place = models.PositiveIntegerField(help_text="From 0 on, in the order of appending.")
    session = models.PositiveIntegerField(help_text="From 1 on.")
    version = models.CharField(max_length=32, help_text="The first one that holds it.")
    file_digest = models.CharField(max_length=MAX_DIGEST)
    file_size = models.BigIntegerField()
    tokens = models.PositiveIntegerField()

    class Meta:
        ordering = ("artefact_id", "place")
        indexes = [
            models.Index("artefact_id", "place", name="artefact_segments"),
            models.Index("file_digest", name="artefact_segment_file"),  # does anybody still need the file?
        ]

    def __str__(self) -> str:
        return self.id


class ArtefactText(ErasableText):
    """What a person wrote about an artefact."""

    artefact_id = models.CharField(max_length=36, db_index=True)


class Retokenised(models.Model):
    """A memory on sale in the tokens of a model that it may be delivered to, or why it cannot be had in them."""

    memory = models.CharField(max_length=MAX_DIGEST, help_text="Of the version's file, or the segment's.")
    target_model = models.CharField(max_length=100, help_text="Registry name.")
    target_weights = models.CharField(max_length=MAX_DIGEST)
    file_digest = models.CharField(max_length=MAX_DIGEST, null=True)  # noqa: DJ001 - null: it cannot be had
    tokens = models.PositiveIntegerField(null=True, help_text="Of the target's, BOS not among them.")
    layers = models.PositiveSmallIntegerField(null=True, help_text="How many of the target's first layers are in it.")
    reason = models.TextField(blank=True, help_text="Why there is no file; quotes nothing of the text.")
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("memory", "target_model", "target_weights"), name="retokenised_once")
        ]

    def __str__(self) -> str:
        return f"{self.memory} for {self.target_model}"

    @property
    def known(self) -> bool:
        """Whether the memory can be delivered in these tokens."""
        return self.file_digest is not None
