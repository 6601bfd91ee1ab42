"""JSON documents of the catalogue. No figure appears without its basis and its `certification`, null or not."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, get_args

import msgspec
from rest_framework import serializers

from latentmas.protocol.certification import Tier
from latentmas.protocol.quality import Basis, TokenMode
from latentmas.protocol.targets import target_verdicts
from latentmas.protocol.w_matrix import Space
from latentmas.rest.money import MoneyOutput, shown_money
from marketplace.listings.certificates.standing import (
    Status,
    quality_of,
    reasons_of,
    scope_of_row,
    scope_sentence,
    status_of,
    validators_of,
)
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.imported_outputs import ImportedOutput, imported_document
from marketplace.listings.models import Listing, ListingVersion, Scan, valid_tier
from marketplace.listings.rest.measurement_outputs import CertifierMeasurementOutput

Json = dict[str, Any]
STATUSES = get_args(Status)


class IntervalOutput(serializers.Serializer[Any]):
    value = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class FileOutput(serializers.Serializer[Any]):
    digest = serializers.CharField(help_text="sha256:<hex> of the file's bytes.")
    size = serializers.IntegerField(help_text="Bytes.")


class LengthTierOutput(serializers.Serializer[Any]):
    length = serializers.IntegerField()
    tier = serializers.ChoiceField([tier.value for tier in Tier])
    low = serializers.FloatField(help_text="Lower end of the worst register's retention.")
    register = serializers.CharField(help_text="The worst one.")


class ScopeOutput(serializers.Serializer[Any]):
    """Where a certificate holds."""

    suite = serializers.CharField()
    mode = serializers.ChoiceField([mode.value for mode in TokenMode])
    longest = serializers.IntegerField(help_text="The longest context, in tokens of the target.")
    lengths = LengthTierOutput(many=True)
    failures = serializers.ListField(child=serializers.CharField(), help_text="What ends the scope, by register.")
    unmeasured = serializers.ListField(child=serializers.CharField(), help_text="Registers without enough texts.")
    sentence = serializers.CharField()


class CertificationOutput(serializers.Serializer[Any]):
    tier = serializers.ChoiceField([tier.value for tier in Tier])
    grade = serializers.CharField()
    expires_at = serializers.DateTimeField()
    scope = ScopeOutput(allow_null=True, help_text="Null: the figures are of no evaluation suite.")


class TargetOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    target = serializers.CharField(help_text="Such as > 0.90.")
    measured = serializers.FloatField(allow_null=True)
    met = serializers.BooleanField(allow_null=True)


class SummaryOutput(serializers.Serializer[Any]):
    """A listing with the figures of its newest version; they are null where nothing is on offer."""

    id = serializers.CharField()
    title = serializers.CharField()
    source_model = serializers.CharField()
    target_model = serializers.CharField()
    space = serializers.ChoiceField([space.value for space in Space])
    seller = serializers.CharField()
    price = MoneyOutput()
    access = serializers.ChoiceField([access.value for access in Access], help_text="Who gets its files.")
    version = serializers.CharField(allow_null=True)
    method = serializers.CharField(allow_null=True)
    standard = serializers.IntegerField(allow_null=True)
    unified_dimension = serializers.IntegerField(allow_null=True)
    basis = serializers.ChoiceField([basis.value for basis in Basis], allow_null=True)
    epsilon = serializers.FloatField(allow_null=True)
    retention = IntervalOutput(allow_null=True, help_text="Of KV-caches.")
    top1 = IntervalOutput(allow_null=True, help_text="Of embeddings: share that finds its own passage first.")
    certification = CertificationOutput(allow_null=True)
    file = FileOutput(allow_null=True)
    published_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField()
    url = serializers.CharField()


class PageOutput(serializers.Serializer[Any]):
    results = SummaryOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page.")


class DeprecationOutput(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    reason = serializers.CharField()
    successor = serializers.CharField(allow_null=True, help_text="A version, or <listing>/<version>.")


class ScanOutput(serializers.Serializer[Any]):
    state = serializers.ChoiceField(Scan.values)
    reasons = serializers.ListField(child=serializers.CharField(), help_text="Why the version is not offered.")


class VersionOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    version = serializers.CharField()
    source_model = serializers.CharField()
    target_model = serializers.CharField()
    space = serializers.ChoiceField([space.value for space in Space])
    method = serializers.CharField()
    standard = serializers.IntegerField()
    source_dimension = serializers.IntegerField()
    unified_dimension = serializers.IntegerField()
    target_dimension = serializers.IntegerField()
    source_weights = serializers.CharField(allow_null=True)
    target_weights = serializers.CharField(allow_null=True)
    basis = serializers.ChoiceField([basis.value for basis in Basis])
    epsilon = serializers.FloatField()
    quality = serializers.DictField(help_text="Every figure of the measurement, with its controls and baselines.")
    certification = CertificationOutput(allow_null=True)
    declared = serializers.DictField(allow_null=True, help_text="What the publisher said; never certified.")
    declared_gap = serializers.FloatField(
        allow_null=True, help_text="Declared minus measured, where that lies outside the measured interval."
    )
    measurement = CertifierMeasurementOutput(allow_null=True, help_text="Null: the certifier has not measured it.")
    validated_by = serializers.ListField(
        child=serializers.CharField(), help_text="Who has measured it independently and agrees."
    )
    certification_status = serializers.ChoiceField(STATUSES)
    refusal_reasons = serializers.ListField(child=serializers.CharField())
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_reason = serializers.CharField(allow_null=True)
    file = FileOutput()
    report = FileOutput(allow_null=True)
    published_at = serializers.DateTimeField()
    yanked_at = serializers.DateTimeField(allow_null=True)
    yanked_reason = serializers.CharField(allow_null=True)
    offered = serializers.BooleanField()
    publisher = serializers.CharField(allow_null=True, help_text="The agent that sent the file; null: made here.")
    scan = ScanOutput(allow_null=True, help_text="Null: made here.")
    deprecation = DeprecationOutput(allow_null=True)
    imported = ImportedOutput(allow_null=True, help_text="Null: it did not come by its card.")
    url = serializers.CharField()
    file_url = serializers.CharField()


class LicenceOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    licence = serializers.CharField(allow_null=True)
    url = serializers.CharField(allow_null=True)


class SplitOutput(serializers.Serializer[Any]):
    creator = serializers.IntegerField(help_text="Per cent, as the others.")
    platform = serializers.IntegerField()
    validators = serializers.IntegerField()  # type: ignore[assignment]  # declared fields never become attributes


class ListingOutput(SummaryOutput):
    description = serializers.CharField()
    seller_statement = serializers.CharField(
        allow_null=True, help_text="By what right the seller offers it, in his own words; nobody has checked it."
    )
    licences = LicenceOutput(many=True)
    tags = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    split = SplitOutput(help_text="Of later sales.")
    aliases = serializers.DictField(child=serializers.CharField(), help_text="Version by alias.")
    quarantined_at = serializers.DateTimeField(allow_null=True)
    delisted_at = serializers.DateTimeField(allow_null=True)
    withheld_reason = serializers.CharField(help_text="Of the quarantine or the delisting; empty without.")
    stream_version = serializers.IntegerField(help_text="Also the ETag: the listing's version for If-Match.")
    versions = VersionOutput(many=True)


class AppliedWMatrixOutput(serializers.Serializer[Any]):
    listing_id = serializers.CharField()
    version = serializers.CharField()
    digest = serializers.CharField()
    method = serializers.CharField()
    unified_dimension = serializers.IntegerField()
    source_weights = serializers.CharField(allow_null=True)
    target_weights = serializers.CharField(allow_null=True)
    certification = CertificationOutput(allow_null=True)
    certification_status = serializers.CharField()
    url = serializers.CharField()


def summary(row: Listing, *, at: datetime) -> Json:
    """Return a listing as the catalogue shows it, of its row or of a named tuple of the columns `SUMMARY`."""
    return {
        "id": row.id,
        "title": row.title,
        "source_model": row.source_model,
        "target_model": row.target_model,
        "space": row.space,
        "seller": row.seller,
        "price": shown_money(row.price_amount, row.price_currency),
        "access": row.access,
        "version": row.version,
        "method": row.method,
        "standard": row.standard,
        "unified_dimension": row.unified_dimension,
        "basis": row.basis,
        "epsilon": row.epsilon,
        "retention": _interval(row, "retention"),
        "top1": _interval(row, "top1"),
        "certification": certification(row, at=at),
        "file": None if row.version is None else {"digest": row.file_digest, "size": row.file_size},
        "published_at": row.published_at,
        "updated_at": row.updated_at,
        "url": f"/api/w-matrices/{row.id}",
    }


# The columns that a summary shows, and those that order the catalogue.
SUMMARY = (
    *("id", "title", "source_model", "target_model", "space", "seller", "price_amount", "price_currency", "access"),
    *("version", "method", "standard", "unified_dimension", "basis", "basis_rank", "epsilon"),
    *("retention", "retention_low", "retention_high", "top1", "top1_low", "top1_high"),
    *("tier", "grade", "scope", "certified_until", "file_digest", "file_size", "published_at", "updated_at"),
)
LIFE = ("created_at", "split", "aliases", "quarantined_at", "delisted_at", "withheld_reason", "stream_version")


def detail(row: Listing, versions: list[ListingVersion], *, at: datetime) -> Json:
    return summary(row, at=at) | {
        "description": row.description,
        "seller_statement": row.seller_statement,
        "licences": row.licences,
        "tags": row.tags,
        **{name: getattr(row, name) for name in LIFE},
        "versions": [version(each, at=at) for each in versions],
    }


def version(row: ListingVersion, *, at: datetime) -> Json:
    url = f"/api/w-matrices/{row.listing_id}/versions/{row.version}"
    same = (
        *("listing_id", "version", "source_model", "target_model", "space", "method", "standard", "source_dimension"),
        *("unified_dimension", "target_dimension", "source_weights", "target_weights", "basis", "epsilon", "quality"),
        *("declared", "declared_gap", "published_at", "revoked_at", "revoked_reason", "yanked_at", "yanked_reason"),
        *("offered", "publisher"),
    )
    return {name: getattr(row, name) for name in same} | {
        "certification": certification(row, at=at),
        "certification_status": status_of(row, at=at),
        "refusal_reasons": reasons_of(row),
        "measurement": None if row.measurement is None else {"measured_at": row.measured_at} | row.measurement,
        "validated_by": validators_of(row),
        "scan": None if row.scan is None else {"state": row.scan, "reasons": row.scan_reasons},
        "deprecation": _deprecation(row),
        "imported": imported_document(row),
        "file": {"digest": row.file_digest, "size": row.file_size},
        "report": None if row.report_digest is None else {"digest": row.report_digest, "size": row.report_size},
        "url": url,
        "file_url": f"{url}/file",
    }


def certification(row: Listing | ListingVersion, *, at: datetime) -> Json | None:
    """Return the certificate that is valid at the moment, or None."""
    tier = valid_tier(row.tier, row.certified_until, at=at)
    if tier is None:
        return None
    return {"tier": tier, "grade": row.grade, "expires_at": row.certified_until, "scope": _scope(row)}


def targets(row: ListingVersion) -> list[Json]:
    """Return whether the specification's targets of quality are met."""
    return [asdict(verdict) for verdict in target_verdicts(quality_of(row))]


def applied_w_matrix(row: ListingVersion, *, at: datetime) -> Json:
    """Return which version was applied to a caller's memory or vectors."""
    same = ("listing_id", "version", "method", "unified_dimension", "source_weights", "target_weights")
    return {name: getattr(row, name) for name in same} | {
        "digest": row.file_digest,
        "certification": certification(row, at=at),
        "certification_status": status_of(row, at=at),
        "url": f"/api/w-matrices/{row.listing_id}/versions/{row.version}",
    }


def _deprecation(row: ListingVersion) -> Json | None:
    if row.deprecated_at is None:
        return None
    return {"at": row.deprecated_at, "reason": row.deprecated_reason, "successor": row.successor}


def _scope(row: Listing | ListingVersion) -> Json | None:
    scope = scope_of_row(row)
    if scope is None:
        return None
    document: Json = msgspec.to_builtins(scope)
    return document | {"longest": scope.longest, "sentence": scope_sentence(scope)}


def _interval(row: Listing, name: str) -> Json | None:
    if getattr(row, name) is None:
        return None
    return {"value": getattr(row, name), "low": getattr(row, f"{name}_low"), "high": getattr(row, f"{name}_high")}
