"""Projections of the listings' events, written only by projectors.py, member_projector.py; and two ordinary tables.

Columns with what persons wrote are copies of `ListingText`; `texts` names the commitment of each such column.
"""

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from latentmas.protocol.certification import Tier
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Space
from marketplace.listings.events.lifecycle import Access, Role
from marketplace.texts.erasable import ErasableText

BASES = [(basis.value, basis.value) for basis in Basis]
SPACES = [(space.value, space.value) for space in Space]
ACCESSES = [(access.value, access.value) for access in Access]
ROLES = [(role.value, role.value) for role in Role]
TIERS = [(tier.value, tier.value) for tier in Tier]
# Measured first; figures of different bases are never compared with each other.
BASIS_RANK = {Basis.FUNCTIONAL: 0, Basis.ACTIVATION: 1, Basis.DECLARED: 2, Basis.SIMULATED: 3}


class Scan(models.TextChoices):
    """How the scan of a file that a seller sent stands."""

    SCANNING = "scanning"
    PASSED = "passed"
    REFUSED = "refused"


ORDER = ("basis_rank", "epsilon", "id")  # measured first, then the lowest epsilon
ON_OFFER = Q(version__isnull=False)
UNSCANNED = (Scan.SCANNING, Scan.REFUSED)


def valid_tier(tier: str | None, until: datetime | None, *, at: datetime) -> str | None:
    """Return the tier of a certificate that is valid at a moment; an expired one counts as none."""
    return tier if until is not None and until > at else None


class Listing(models.Model):
    """A W-Matrix, with the figures of its newest version on offer (`version` is null where there is none)."""

    id = models.CharField(max_length=36, primary_key=True)
    title = models.CharField(max_length=200)
    description = models.TextField()
    seller_statement = models.TextField(null=True, help_text="By what right the seller offers it.")  # noqa: DJ001
    source_model = models.CharField(max_length=100)
    target_model = models.CharField(max_length=100)
    space = models.CharField(max_length=20, choices=SPACES)
    seller = models.CharField(max_length=100)
    price_amount = models.BigIntegerField(help_text="Minor units.")
    price_currency = models.CharField(max_length=3)
    licences = models.JSONField(help_text="The terms of the models it was made from.")
    tags = models.JSONField()
    split = models.JSONField(help_text="Shares of creator, platform and validators in per cent, of later sales.")
    access = models.CharField(max_length=10, choices=ACCESSES)
    aliases = models.JSONField(default=dict, help_text="Version by alias.")
    quarantined_at = models.DateTimeField(null=True)
    delisted_at = models.DateTimeField(null=True)
    withheld_reason = models.TextField(blank=True, help_text="Of the quarantine or the delisting.")
    texts = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    stream_version = models.PositiveIntegerField()

    version = models.CharField(max_length=32, null=True)  # noqa: DJ001 - null is "nothing on offer"
    method = models.CharField(max_length=20, null=True)  # noqa: DJ001
    standard = models.PositiveIntegerField(null=True)
    unified_dimension = models.PositiveIntegerField(null=True)
    basis = models.CharField(max_length=20, choices=BASES, null=True)  # noqa: DJ001
    basis_rank = models.PositiveSmallIntegerField(null=True)
    epsilon = models.FloatField(null=True)
    retention = models.FloatField(null=True)
    retention_low = models.FloatField(null=True)
    retention_high = models.FloatField(null=True)
    top1 = models.FloatField(null=True)
    top1_low = models.FloatField(null=True)
    top1_high = models.FloatField(null=True)
    tier = models.CharField(max_length=20, choices=TIERS, null=True)  # noqa: DJ001
    grade = models.CharField(max_length=20, null=True)  # noqa: DJ001
    scope = models.JSONField(null=True, help_text="Where the certificate holds; null where no suite was measured.")
    certified_until = models.DateTimeField(null=True)
    file_digest = models.CharField(max_length=71, null=True)  # noqa: DJ001
    file_size = models.BigIntegerField(null=True)
    published_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ORDER
        indexes = [
            # The catalogue and its cursor: everything on offer, measured first, best first; then by each of its
            # filters. A price limits in the index what is read of the table.
            models.Index(*ORDER, "price_amount", name="listing_offer", condition=ON_OFFER),
            models.Index("source_model", *ORDER, name="listing_source"),
            models.Index("target_model", *ORDER, name="listing_target"),
            models.Index("source_model", "target_model", *ORDER, name="listing_pair"),
            models.Index("tier", *ORDER, "price_amount", name="listing_tier", condition=Q(tier__isnull=False)),
        ]

    def tier_at(self, at: datetime) -> str | None:
        """Return the tier of a certificate that is valid at a moment; an expired one counts as none."""
        return valid_tier(self.tier, self.certified_until, at=at)


class ListingVersion(models.Model):
    """One published version of a listing; its key is `<listing>/<version>`."""

    id = models.CharField(max_length=70, primary_key=True)
    listing_id = models.CharField(max_length=36)
    source_model = models.CharField(max_length=100)
    target_model = models.CharField(max_length=100)
    space = models.CharField(max_length=20, choices=SPACES)
    version = models.CharField(max_length=32)
    major = models.PositiveIntegerField()
    minor = models.PositiveIntegerField()
    patch = models.PositiveIntegerField()
    method = models.CharField(max_length=20)
    standard = models.PositiveIntegerField()
    source_dimension = models.PositiveIntegerField()
    unified_dimension = models.PositiveIntegerField()
    target_dimension = models.PositiveIntegerField()
    source_weights = models.CharField(max_length=71, null=True)  # noqa: DJ001 - null is "weights not seen"
    target_weights = models.CharField(max_length=71, null=True)  # noqa: DJ001
    file_digest = models.CharField(max_length=71)
    file_size = models.BigIntegerField()
    report_digest = models.CharField(max_length=71, null=True)  # noqa: DJ001 - null is "the seller sent none"
    report_size = models.BigIntegerField(null=True)
    basis = models.CharField(max_length=20, choices=BASES)
    basis_rank = models.PositiveSmallIntegerField()
    epsilon = models.FloatField()
    quality = models.JSONField(help_text="What stands: measured figures, else declared or simulated ones.")
    declared = models.JSONField(null=True, help_text="What the publisher said; null where the factory measured first.")
    declared_gap = models.FloatField(null=True, help_text="Declared minus measured, outside the measured interval.")
    measured_at = models.DateTimeField(null=True)
    measurement = models.JSONField(null=True, help_text="What the certifier measured with, and the private cells.")
    recertified = models.JSONField(default=list, help_text="Each validator's last verdict on the measurement.")
    tier = models.CharField(max_length=20, choices=TIERS, null=True)  # noqa: DJ001
    grade = models.CharField(max_length=20, null=True)  # noqa: DJ001
    scope = models.JSONField(null=True, help_text="Where the certificate holds; null where no suite was measured.")
    certified_at = models.DateTimeField(null=True)
    certified_until = models.DateTimeField(null=True)
    refusal_code = models.CharField(max_length=50, null=True)  # noqa: DJ001
    refusal_reasons = models.JSONField(default=list)
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.TextField(null=True)  # noqa: DJ001
    published_at = models.DateTimeField()
    yanked_at = models.DateTimeField(null=True)
    yanked_reason = models.TextField(null=True)  # noqa: DJ001
    publisher = models.CharField(max_length=100, null=True)  # noqa: DJ001 - the agent that sent it; null: made here
    scan = models.CharField(max_length=10, choices=Scan.choices, null=True)  # noqa: DJ001 - null: made here
    scan_reasons = models.JSONField(default=list)
    imported = models.JSONField(null=True, help_text="Where it came from by its card; what is certified there.")
    takedown_contact = models.TextField(null=True, help_text="Of the registry that it was imported from.")  # noqa: DJ001
    deprecated_at = models.DateTimeField(null=True)
    deprecated_reason = models.TextField(null=True)  # noqa: DJ001
    successor = models.CharField(max_length=70, null=True)  # noqa: DJ001
    access = models.CharField(max_length=10, choices=ACCESSES, help_text="That of its listing.")
    offered = models.BooleanField(help_text="Neither yanked nor withheld, and its scan found nothing against it.")
    texts = models.JSONField(default=dict)

    class Meta:
        ordering = (F("major").desc(), F("minor").desc(), F("patch").desc(), "listing_id")
        indexes = [
            # The versions of a listing's page, newest first.
            models.Index("listing_id", "major", "minor", "patch", name="version_listing"),
            # verify: whose file is this?
            models.Index("file_digest", name="version_file"),
            # best: the versions on offer between two models.
            models.Index(
                "source_model",
                "target_model",
                "space",
                "basis_rank",
                "epsilon",
                name="version_pair",
                condition=Q(offered=True),
            ),
        ]

    @property
    def file_name(self) -> str:
        return f"{self.source_model}--{self.target_model}--{self.version}.safetensors"

    @property
    def yanked(self) -> bool:
        return self.yanked_at is not None

    @property
    def scanned(self) -> bool:
        """Whether it was made here or passed its scan."""
        return self.scan not in UNSCANNED

    def tier_at(self, at: datetime) -> str | None:
        """Return the tier of a certificate that is valid at a moment; an expired one counts as none."""
        return valid_tier(self.tier, self.certified_until, at=at)


class Request(models.TextChoices):
    """How an agent's request for access stands."""

    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"


class ListingMember(models.Model):
    """An agent that owns a listing, works on it, was granted its files or has asked for them."""

    id = models.CharField(max_length=140, primary_key=True)  # <listing>/<agent>
    listing_id = models.CharField(max_length=36)
    agent = models.CharField(max_length=100)
    owner = models.BooleanField(default=False)
    role = models.CharField(max_length=20, choices=ROLES, null=True)  # noqa: DJ001 - null: no collaborator
    request = models.CharField(max_length=10, choices=Request.choices, null=True)  # noqa: DJ001 - null: none
    message = models.TextField(blank=True, help_text="Of the request, or the reason of its refusal.")
    offered_at = models.DateTimeField(null=True, help_text="Since when it may take the listing over; null: it may not.")
    texts = models.JSONField(default=dict)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ("listing_id", "changed_at", "agent")
        indexes = [
            models.Index("listing_id", "changed_at", "agent", name="member_listing"),
            # What an agent sees beside what everybody does.
            models.Index("agent", "listing_id", name="member_agent"),
        ]

    @property
    def belongs(self) -> bool:
        """Whether the agent sees the listing and gets its files, whatever its access."""
        return self.owner or self.role is not None or self.request == Request.GRANTED


class ListingText(ErasableText):
    """What a person wrote about a listing."""

    listing_id = models.CharField(max_length=36, db_index=True)


class ObtainedVersion(models.Model):
    """An agent has got a version's file and keeps it, whatever becomes of the version: an ordinary table."""

    agent = models.CharField(max_length=100)
    version = models.CharField(max_length=70, help_text="<listing>/<version>")
    obtained_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("agent", "version"), name="obtained_once")]
